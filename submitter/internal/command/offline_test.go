package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/version"
	"pencere/submitter/internal/command"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
)

// invocation is a command line and what it did.
type invocation struct {
	env  map[string]string
	in   string
	code int
	out  bytes.Buffer
	err  bytes.Buffer
}

func (i *invocation) run(ctx context.Context, args ...string) *invocation {
	i.code = command.Run(ctx, args, command.Streams{
		In: strings.NewReader(i.in), Out: &i.out, Err: &i.err,
		LookupEnv: func(name string) (string, bool) {
			value, ok := i.env[name]
			return value, ok
		},
	})
	return i
}

func (i *invocation) String() string {
	var b strings.Builder
	b.WriteString(i.out.String())
	for line := range strings.Lines(i.err.String()) {
		fmt.Fprintf(&b, "2> %s", line)
	}
	fmt.Fprintf(&b, "exit %d\n", i.code)
	return b.String()
}

// What needs no cluster: specs, wrong usage, and clusters, ports and directories that are not there.
func TestOffline(t *testing.T) {
	script, err := filepath.Abs("testdata/offline.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	datadriven.RunTest(t, script, func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "file":
			var name string
			d.ScanArgs(t, "name", &name)
			if err := os.WriteFile(name, []byte(d.Input), 0o600); err != nil {
				t.Fatal(err)
			}
			return ""
		case "run":
			i := &invocation{env: make(map[string]string)}
			for _, variable := range d.CmdArgs {
				i.env[variable.Key] = strings.Join(variable.Vals, ",")
			}
			return i.run(t.Context(), strings.Fields(d.Input)...).String()
		default:
			t.Fatalf("unknown directive %s", d.Cmd)
			return ""
		}
	})
}

// The schema is what an editor reads, and --json does not change it but for the envelope.
func TestSchema(t *testing.T) {
	plain := new(invocation).run(t.Context(), "schema")
	var schema map[string]any
	if err := json.Unmarshal(plain.out.Bytes(), &schema); err != nil || plain.code != 0 {
		t.Fatalf("exit %d, %v", plain.code, err)
	}
	var envelope struct {
		OK     bool
		Result map[string]any
	}
	if err := json.Unmarshal(new(invocation).run(t.Context(), "schema", "--json").out.Bytes(), &envelope); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(schema, envelope.Result); diff != "" || !envelope.OK || schema["title"] == nil {
		t.Errorf("the schemas differ (ok: %v):\n%s", envelope.OK, diff)
	}
}

func TestVersion(t *testing.T) {
	i := new(invocation).run(t.Context(), "version")
	if want := "submitter " + version.String() + " ("; i.code != 0 || !strings.HasPrefix(i.out.String(), want) {
		t.Errorf("exit %d, %q, want it to begin with %q", i.code, &i.out, want)
	}
}
