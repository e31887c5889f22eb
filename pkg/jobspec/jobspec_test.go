package jobspec_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
)

// Each script holds specs and what becomes of them: with "errors" all errors or ok, with "job" the job in JSON, with
// "variables" the names. Arguments are the variables that are set. Rewrite the answers with -rewrite.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "errors":
				_, err := jobspec.Parse("job.yaml", []byte(d.Input), set(d.CmdArgs))
				return verdict(err)
			case "job":
				job, err := jobspec.Parse("job.yaml", []byte(d.Input), set(d.CmdArgs))
				if err != nil {
					return verdict(err)
				}
				return indented(t, job)
			case "variables":
				names, err := jobspec.Variables([]byte(d.Input))
				if err != nil {
					return verdict(err)
				}
				return strings.Join(names, "\n") + "\n"
			default:
				t.Fatalf("unknown command %q", d.Cmd)
				return ""
			}
		})
	})
}

func set(arguments []datadriven.CmdArg) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, a := range arguments {
			if a.Key == name {
				return strings.Join(a.Vals, ","), true
			}
		}
		return "", false
	}
}

func verdict(err error) string {
	if err == nil {
		return "ok\n"
	}
	return err.Error() + "\n"
}

func indented(t *testing.T, job plan.Job) string {
	t.Helper()
	text, err := json.MarshalIndent(job, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func unset(string) (string, bool) { return "", false }

const jobs = "../../compose/jobs"

// exampleFiles are the example jobs that are published.
func exampleFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(jobs + "/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("example jobs: %v, %v", files, err)
	}
	return files
}

var rewrite = flag.Bool("rewrite-schema", false, "write the published JSON Schema anew")

// The published schema is the one that the parser's table makes.
func TestPublishedSchemaIsCurrent(t *testing.T) {
	file := filepath.Join(jobs, jobspec.SchemaFile)
	if *rewrite {
		if err := os.WriteFile(file, jobspec.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(published), string(jobspec.Schema())); diff != "" {
		t.Errorf("%s is stale; run: go test ./pkg/jobspec -run Schema -rewrite-schema\n%s", file, diff)
	}
}

// Texts that are no job spec at all are refused with a place, without the parser being asked to do too much.
func TestHostileTexts(t *testing.T) {
	for name, text := range map[string]string{
		"too long":        strings.Repeat(" ", 1<<20+1),
		"too many marks":  strings.Repeat("[", 1<<20),
		"brackets":        strings.Repeat("[", 100_000),
		"braces":          strings.Repeat("{a: ", 50_000),
		"dashes":          strings.Repeat("- ", 100_000),
		"question marks":  strings.Repeat("? ", 100_000),
		"keys":            strings.Repeat("a:\n", 50_000),
		"pairs":           strings.Repeat("a: b\n", 50_000),
		"blocks":          strings.Repeat("a: |\n x\n", 25_000),
		"colons":          strings.Repeat(": ", 100_000),
		"tags":            strings.Repeat("!!a ", 50_000),
		"anchors":         strings.Repeat("&a ", 100_000),
		"quotes":          strings.Repeat("'", 100_000),
		"escapes":         strings.Repeat(`"\x`, 100_000),
		"one long scalar": "name: " + strings.Repeat("x ", 1<<18),
		"one long line":   "name: \"" + strings.Repeat("${", 1<<18) + "\"",
		"comments":        strings.Repeat("#\n", 50_000),
		"documents":       strings.Repeat("---\n", 25_000),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := jobspec.Parse("job.yaml", []byte(text), unset)
			checkPlaced(t, err)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// checkPlaced demands Errors, each with a place and a message.
func checkPlaced(t testing.TB, err error) {
	t.Helper()
	var all jobspec.Errors
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("error = %v, want Errors", err)
	}
	for i, e := range all {
		if e.File == "" || e.Line < 1 || e.Column < 1 || e.Message == "" {
			t.Errorf("error without a place or a message: %#v", e)
		}
		if i > 0 && (e.Line < all[i-1].Line || e.Line == all[i-1].Line && e.Column < all[i-1].Column) {
			t.Errorf("errors out of order: %v before %v", all[i-1], e)
		}
	}
}

// Whatever the text, Parse gives a job or placed errors, and a job is one that compiles and survives storage.
func FuzzParse(f *testing.F) {
	for _, file := range exampleFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{"", "a", "a: &x [*x]", "- 1\n- 2", "name: ${", "name: |\n  x\n ${y}", "? a", "\ufeff", "a:\n\tb: 1", "select: [a AS, AS b, `x` AS `y`]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		job, err := jobspec.Parse("job.yaml", text, unset)
		if err != nil {
			checkPlaced(t, err)
			return
		}
		if _, err := plan.Compile(job); err != nil {
			t.Fatalf("Parse took a job that does not compile: %v", err)
		}
		stored, err := job.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plan.Decode(stored); err != nil {
			t.Fatal(err)
		}
	})
}

func ExampleParse() {
	_, err := jobspec.Parse("job.yaml", []byte("name: demo\nsouce: {}\nsink:\n  csv: {path: out}\n"), os.LookupEnv)
	fmt.Println(err)
	// Output:
	// job.yaml:2:1: souce: unknown field "souce" (did you mean "source"?)
}
