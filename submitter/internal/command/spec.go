package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

const stdin = "-"

// variables are what ${NAME} in a job spec stands for.
type variables struct {
	given  []string // NAME=VALUE, from flags
	values map[string]string
	lookup func(string) (string, bool)
}

func (v *variables) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&v.given, "var", nil, "NAME=VALUE for ${NAME} in the spec; the environment's value otherwise")
}

// parse reads the flags.
func (v *variables) parse(lookup func(string) (string, bool)) error {
	v.lookup, v.values = lookup, make(map[string]string)
	for _, g := range v.given {
		name, value, ok := strings.Cut(g, "=")
		if !ok || name == "" {
			return usage("--var %q: want NAME=VALUE", g)
		}
		v.values[name] = value
	}
	return nil
}

func (v *variables) get(name string) (string, bool) {
	if value, ok := v.values[name]; ok {
		return value, true
	}
	return v.lookup(name)
}

// used returns those of a spec's variables that have a value here.
func (v *variables) used(text []byte) (map[string]string, error) {
	names, err := jobspec.Variables(text)
	if err != nil {
		return nil, err
	}
	used := make(map[string]string)
	for _, name := range names {
		if value, ok := v.get(name); ok {
			used[name] = value
		}
	}
	return used, nil
}

// readSpec reads and checks a job spec from a file, or from standard input for "-".
func (a *app) readSpec(path string, vars *variables) (client.Spec, plan.Job, error) {
	spec := client.Spec{Name: path}
	var err error
	if path == stdin {
		spec.Name = "stdin"
		spec.Text, err = io.ReadAll(a.In)
	} else {
		spec.Text, err = os.ReadFile(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return spec, plan.Job{}, usage("job spec %s: there is no such file", path)
	}
	if err != nil {
		return spec, plan.Job{}, &usageError{fmt.Errorf("job spec: %w", err)}
	}
	job, err := jobspec.Parse(spec.Name, spec.Text, vars.get)
	if err != nil {
		return spec, job, err
	}
	spec.Vars, err = vars.used(spec.Text)
	return spec, job, err
}

// warn says what a job allows that its user should know of.
func (a *app) warn(file string, job plan.Job) {
	for _, warning := range job.Warnings() {
		fmt.Fprintf(a.Err, "%s: warning: %s\n", file, warning)
	}
}
