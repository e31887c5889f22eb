package command

import (
	"errors"
	"fmt"

	"pencere/pkg/jobspec"

	"github.com/spf13/cobra"
)

func (a *app) validateCommand() *cobra.Command {
	var vars variables
	c := &cobra.Command{
		Use:   "validate job.yaml...",
		Short: "Checks job specs without a cluster and prints everything that is wrong",
		Args:  cobra.ArbitraryArgs,
	}
	vars.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("want job specs to check, or - for standard input")
		}
		if err := vars.parse(a.LookupEnv); err != nil {
			return err
		}
		return a.validate(c.Name(), args, &vars)
	}
	return c
}

func (a *app) validate(command string, paths []string, vars *variables) error {
	type valid struct {
		File string `json:"file"`
		Name string `json:"name"`
	}
	good := []valid{}
	var wrong jobspec.Errors
	for _, path := range paths {
		spec, job, err := a.readSpec(path, vars)
		if found, ok := errors.AsType[jobspec.Errors](err); ok {
			wrong = append(wrong, found...)
			continue
		}
		if err != nil {
			return err
		}
		a.warn(spec.Name, job)
		good = append(good, valid{File: spec.Name, Name: job.Name})
	}
	text := func() {
		for _, v := range good {
			fmt.Fprintf(a.Out, "%s: job %s is valid\n", v.File, v.Name)
		}
	}
	if len(wrong) > 0 {
		if !a.json {
			text()
		}
		return &resultError{err: wrong, result: map[string]any{"valid": good}}
	}
	a.report(command, map[string]any{"valid": good}, text)
	return nil
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints the JSON Schema of job specs, for editors",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			schema := jobspec.Schema()
			a.report(c.Name(), jsonText(schema), func() { fmt.Fprintf(a.Out, "%s", schema) })
			return nil
		},
	}
}

// jsonText is JSON that is there already.
type jsonText []byte

// MarshalJSON implements json.Marshaler.
func (t jsonText) MarshalJSON() ([]byte, error) { return t, nil }
