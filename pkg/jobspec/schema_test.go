package jobspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"pencere/pkg/plan"
)

func unset(string) (string, bool) { return "", false }

// validator returns the schema as editors apply it. Its defaults are checked, too.
func validator(t *testing.T) func(text string) error {
	t.Helper()
	var schema jsonschema.Schema
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return err
		}
		return resolved.Validate(value)
	}
}

// examples are the specs that are published: the files, and the YAML blocks of the documentation that are whole specs.
func examples(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("../../compose/jobs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("example jobs: %v, %v", files, err)
	}
	for _, file := range files {
		all[file] = readFile(t, file)
	}
	documents, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range documents {
		for i, block := range strings.Split(readFile(t, file), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			if strings.HasPrefix(block, "name:") || strings.Contains(block, "\nname:") {
				all[fmt.Sprintf("%s, block %d", file, i+1)] = block
			}
		}
	}
	return all
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExamples(t *testing.T) {
	validate := validator(t)
	for name, text := range examples(t) {
		if err := validate(text); err != nil {
			t.Errorf("%s: schema: %v", name, err)
		}
		job, err := Parse(name, []byte(text), unset)
		if err != nil {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		stored, err := job.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := plan.Decode(stored)
		if diff := cmp.Diff(job, again); err != nil || diff != "" {
			t.Errorf("%s: stored and read again: %v\n%s", name, err, diff)
		}
	}
}

// minimal is a spec of every field whose value depends on no other field, one value a line.
const minimal = `
name: x
parallelism: 2
max_parallelism: 128
time_zone: UTC
source:
  kafka:
    brokers: b:9092
    topic: t
    group: g
    start: latest
    bounded: latest
    discovery_interval: 30s
    on_data_loss: earliest
    properties: {linger.ms: 5}
  format: json
  json:
    timestamp-format.standard: SQL
    fail-on-missing-field: true
  on_error: dead_letter
  schema:
    a: INT
    ts: TIMESTAMP(3) NOT NULL
  watermark:
    column: ts
    delay: 5s
    idle_after: 1m
window:
  tumble: 2m
  offset: 0s
  group_by: [a]
  aggregates:
    n: COUNT(*)
  late: dead_letter
  allowed_lateness: 1m
select: [a, n AS m, {x: a}]
sink:
  csv:
    path: out
    field-delimiter: ";"
    disable-quote-character: false
    null-literal: ""
    roll:
      size: 128MB
      interval: 30m
dead_letters:
  csv:
    path: dead
    roll:
      size: 1MB
checkpoint:
  interval: 10s
restart_strategy:
  type: exponential-delay
  initial_backoff: 1s
  backoff_multiplier: 2.5
  jitter_factor: 0
  attempts_before_reset_backoff: 3
`

// Whatever single value of a good spec is replaced by one of another kind or out of bounds, or key misspelt, taken
// away or added: the parser and the JSON Schema agree whether it is still good.
func TestSchemaAndParserAgree(t *testing.T) {
	validate := validator(t)
	agree := func(what, text string) {
		t.Helper()
		bySchema := validate(text)
		_, byParser := Parse("job.yaml", []byte(text), unset)
		// What is in a variable only the parser can know, and only the planner what fits together.
		laxer := strings.Contains(text, "${") || onlyPlanner(byParser)
		if bySchema != nil && byParser == nil || bySchema == nil && byParser != nil && !laxer {
			t.Errorf("%s:\nschema: %v\nparser: %v", what, bySchema, byParser)
		}
	}
	agree("unchanged", minimal)
	if err := validate(minimal); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(minimal, "\n")
	values := []string{
		"5", "-1", "0", "2.5", "true", `""`, `" "`, "word", `"5"`, "5s", "10 MB", "[]", "[a]", "[5]", "{}", "{a: b}", "null", "~",
		"auto", "none", "json", "latest", "SQL", "DECIMAL(5, 2)", "${X:5}", "${X:word}", "2025-03-04T12:00:00Z", "40000", "1e400",
		"{timestamp: 5}", `{timestamp: "5"}`, "{timestamp: 2025-03-04T12:00:00Z}", "{timestamp: x}", "[{a: b}]", "[{a: b, c: d}]", "[[a]]", "int", "Int not null", "INTT",
	}
	for i, line := range lines {
		key, _, isField := strings.Cut(line, ":")
		if !isField {
			continue
		}
		edit := func(what, replacement string) {
			edited := strings.Join(lines[:i], "\n") + "\n" + replacement + "\n" + strings.Join(lines[i+1:], "\n")
			agree(fmt.Sprintf("line %d, %q: %s", i, line, what), edited)
		}
		if i+1 < len(lines) && indentation(lines[i+1]) > indentation(line) {
			edit("key misspelt", key+"x:")
			continue // the lines below belong to it
		}
		edit("key misspelt", strings.Replace(line, ":", "x:", 1))
		edit("taken away", "")
		for _, value := range values {
			edit("value "+value, key+": "+value)
		}
	}
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// onlyPlanner reports whether all errors are about the job, not about the form of the spec: no schema could see them.
func onlyPlanner(err error) bool {
	var all Errors
	if !errors.As(err, &all) {
		return false
	}
	for _, e := range all {
		if !e.planned {
			return false
		}
	}
	return true
}

// The defaults and examples of the table are good values of their fields.
func TestTableParsesItself(t *testing.T) {
	checked := 0
	var visit func(path string, fields []field)
	visit = func(path string, fields []field) {
		for _, f := range fields {
			name := join(path, f.name)
			texts := append([]string{}, f.examples...)
			switch shape := f.shape.(type) {
			case mapping:
				visit(name, shape.fields)
			case variants:
				for _, v := range shape.of {
					visit(name, v.fields)
				}
			case interface{ written() string }:
				texts = append(texts, shape.written())
			}
			for _, text := range texts {
				if text != "" {
					checked++
					checkValue(t, name, f.shape, text)
				}
			}
			if f.doc == "" || strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s: doc %q", name, f.doc)
			}
		}
	}
	visit("", spec.fields)
	if checked < 20 {
		t.Errorf("only %d defaults and examples were checked", checked)
	}
}

func checkValue(t *testing.T, name string, s shape, text string) {
	t.Helper()
	root, refused := parseYAML([]byte("x: " + text))
	if len(refused) > 0 {
		t.Fatalf("%s: %q: %v", name, text, refused)
	}
	w := newWalker("table", nil, unset)
	allocate(w)
	entries, _ := w.entries("", root)
	s.read(w, name, entries[0].value)
	if len(w.errors) > 0 {
		t.Errorf("%s: %q: %v", name, text, w.errors)
	}
}

// allocate makes room for every optional part of the job.
func allocate(w *walker) {
	for _, begin := range []mapping{kafkaFields, windowFields, csvFields, watermarkFields, deadLetterFields, deadLetterFiles, deadLetterTopic, kafkaSinkFields, mongoSinkFields, httpFields, httpAuthFields} {
		begin.begin(&w.job)
	}
}
