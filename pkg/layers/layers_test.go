package layers

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree holds the project itself to every rule.
func TestTree(t *testing.T) {
	source, err := loadTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(source.packages) == 0 {
		t.Fatal("found no Go package: not the module's root?")
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, breach := range rule.check(source) {
				t.Errorf("%s\n\trule: %s", breach, rule.says)
			}
		})
	}
}

// TestRules shows of each rule what it refuses, by a small tree that breaks this rule and no other, and what it lets pass.
func TestRules(t *testing.T) {
	described := "// Package x is described.\npackage x\n"
	cases := []struct {
		name  string
		file  string // the tree is this one file
		text  string
		broke string // the rule that refuses it, empty for none
		says  string // a part of the message
	}{
		{name: "a folder of the layout", file: "pkg/blob/blob.go", text: described},
		{"another folder", "cmd/tool/tool.go", described, "top-folders", "cmd: not a folder"},
		{name: "a folder that git ignores", file: "bin/tool.go", text: "not Go"},

		{name: "pkg to pkg", file: "pkg/blob/blob.go", text: described + `import "pencere/pkg/window"`},
		{"pkg to program", "pkg/blob/blob.go", described + `import "pencere/jobmanager/daemon"`, "direction", "pkg/blob/blob.go: imports pencere/jobmanager/daemon: pkg may import nothing"},
		{"pkg's tests to program", "pkg/blob/blob_test.go", described + `import "pencere/submitter/internal/client"`, "direction", "pkg may import nothing"},
		{"program to another's package", "taskmanager/daemon/d.go", described + `import "pencere/jobmanager/daemon"`, "direction", "taskmanager may import only pkg"},
		{"program to another's internals", "submitter/internal/command/c.go", described + `import "pencere/jobmanager/internal/rest"`, "direction", "submitter may import"},
		{"UI in the wrong program", "taskmanager/daemon/d.go", described + `import "pencere/web"`, "direction", "taskmanager may import only pkg"},
		{name: "UI in the jobmanager", file: "jobmanager/internal/rest/r.go", text: described + `import "pencere/web"`},
		{name: "cluster in a process", file: "submitter/internal/localcluster/l.go", text: described + `import "pencere/taskmanager/daemon"`},
		{name: "end-to-end test", file: "submitter/e2e/e_test.go", text: described + `import "pencere/jobmanager/daemon"`},
		{"cluster past a front door", "submitter/internal/localcluster/l.go", described + `import "pencere/taskmanager/internal/slots"`, "direction", "submitter may import"},
		{name: "main to its daemon", file: "jobmanager/main.go", text: described + `import "pencere/jobmanager/daemon"`},
		{"main past its daemon", "jobmanager/main.go", described + `import "pencere/jobmanager/internal/rest"`, "direction", "through jobmanager/daemon"},
		{name: "main to its commands", file: "submitter/main.go", text: described + `import "pencere/submitter/internal/command"`},
		{name: "daemon to its internals", file: "jobmanager/daemon/d.go", text: described + `import "pencere/jobmanager/internal/rest"`},
		{"internals to their daemon", "jobmanager/internal/rest/r.go", described + `import "pencere/jobmanager/daemon"`, "no-way-back", "jobmanager/internal/rest/r.go: imports"},
		{"long main", "jobmanager/main.go", described + strings.Repeat("\n", 60), "small-main", "62 lines"},

		{name: "pure to pure", file: "pkg/window/w.go", text: described + `import ("pencere/pkg/eventtime"; "time"; "math/rand/v2")`},
		{"pure to os", "pkg/window/w.go", described + `import "os"`, "pure-imports", "pkg/window/w.go: imports os: the world outside"},
		{"pure to net/http", "jobmanager/internal/coordinator/c.go", described + `import "net/http"`, "pure-imports", "imports net/http"},
		{"pure to log/slog", "pkg/plan/p.go", described + `import "log/slog"`, "pure-imports", "imports log/slog"},
		{"pure to generated code", "pkg/checkpoint/c.go", described + `import "pencere/pkg/gen/pencere/storage/v1"`, "pure-imports", "not a pure package"},
		{"pure to an edge", "pkg/jobspec/j.go", described + `import "pencere/pkg/connector/kafka"`, "pure-imports", "not a pure package"},
		{"pure to a library that dials", "pkg/plan/p.go", described + `import "github.com/twmb/franz-go/pkg/kgo"`, "pure-imports", "the world outside"},
		{name: "a name that only starts like one", file: "pkg/plan/p.go", text: described + `import ("network/x"; "osmosis")`},
		{name: "tests of a pure package", file: "pkg/window/w_test.go", text: described + "import (\"os\"; \"time\")\nfunc f() { go f(); time.Now(); os.Exit(1) }"},
		{name: "an edge", file: "pkg/blob/b.go", text: described + "import (\"os\"; \"time\")\nfunc f() { go f(); time.Now(); os.Exit(1) }"},
		{"clock in pure code", "pkg/window/w.go", described + "import \"time\"\nvar x = time.Now()", "pure-code", "pkg/window/w.go:4:9: uses time.Now"},
		{"clock as a value", "pkg/window/w.go", described + "import \"time\"\nvar clock = time.Now", "pure-code", "uses time.Now"},
		{"clock under another name", "pkg/window/w.go", described + "import t \"time\"\nvar x = t.After(1)", "pure-code", "uses time.After"},
		{name: "time's units", file: "pkg/window/w.go", text: described + "import \"time\"\nvar x = time.Second"},
		{"hidden randomness", "pkg/window/w.go", described + "import \"math/rand/v2\"\nvar x = rand.IntN(3)", "pure-code", "uses math/rand/v2.IntN"},
		{name: "randomness as an argument", file: "pkg/window/w.go", text: described + "import \"math/rand/v2\"\nfunc f(r *rand.Rand) int { return r.IntN(3) }"},
		{"goroutine in pure code", "pkg/ledger/l.go", described + "func f() { go f() }", "pure-code", "starts a goroutine"},

		{name: "connector to its own part", file: "pkg/connector/kafka/k.go", text: described + `import "pencere/pkg/connector/kafka/offsets"`},
		{name: "connector to what connectors share", file: "pkg/connector/kafka/k.go", text: described + `import "pencere/pkg/connector"`},
		{"connector to connector", "pkg/connector/kafka/k.go", described + `import "pencere/pkg/connector/partfile"`, "connectors-apart", "partfile is another connector"},
		{"test data in a program", "taskmanager/internal/slots/s.go", described + `import "pencere/pkg/flinkcases"`, "test-support", "for tests alone"},

		{"drawer by folder", "pkg/util/x.go", described, "package-names", "pkg/util/x.go: named util"},
		{"drawer by clause", "pkg/blob/x.go", "// Package types is described.\npackage types\n", "package-names", "named types"},
		{"drawer of tests", "pkg/blob/x_test.go", "// Package helpers_test is described.\npackage helpers_test\n", "package-names", "named helpers"},
		{"no package comment", "pkg/blob/x.go", "package blob\n", "package-comment", "pkg/blob: no package comment"},
		{"a comment apart from the clause", "pkg/blob/x.go", "// Copyright.\n\npackage blob\n", "package-comment", "pkg/blob: no package comment"},
		{"long file", "pkg/blob/x.go", described + strings.Repeat("\n", 699), "file-length", "pkg/blob/x.go: 701 lines"},
		{name: "file of just the length", file: "pkg/blob/x.go", text: described + strings.Repeat("\n", 698)},
		{name: "generated file", file: "pkg/gen/x.go", text: "// Code generated by x. DO NOT EDIT.\n\npackage x\n" + strings.Repeat("\n", 999)},
		{name: "not the module's own Go", file: "web/node_modules/p/x.go", text: "package p\n"},
		{name: "data of tests", file: "pkg/blob/testdata/x.go", text: "not Go"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			breaches := breachesOf(t, c.file, c.text)
			if c.broke == "" {
				if len(breaches) != 0 {
					t.Fatalf("refused: %q", breaches)
				}
				return
			}
			want := fmt.Sprintf("[%s] ", c.broke)
			if len(breaches) != 1 || !strings.HasPrefix(breaches[0], want) || !strings.Contains(breaches[0], c.says) {
				t.Fatalf("got %q, want one of rule %s that says %q", breaches, c.broke, c.says)
			}
		})
	}
}

// breachesOf applies every rule to a tree of one file. Each message starts with the rule's name in brackets.
func breachesOf(t *testing.T, file, text string) []string {
	t.Helper()
	source, err := loadTree(fstest.MapFS{
		".gitignore": {Data: []byte("/bin/\n")},
		".git/x.go":  {Data: []byte("not Go")},
		file:         {Data: []byte(text)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var breaches []string
	for _, rule := range rules {
		for _, breach := range rule.check(source) {
			breaches = append(breaches, fmt.Sprintf("[%s] %s", rule.name, breach))
		}
	}
	return breaches
}

// TestLoadTreeRefusesBrokenSource keeps a file that does not parse from being left out in silence.
func TestLoadTreeRefusesBrokenSource(t *testing.T) {
	for _, text := range []string{"not Go", "package"} {
		_, err := loadTree(fstest.MapFS{".gitignore": {}, "pkg/blob/x.go": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), "pkg/blob/x.go:1") {
			t.Errorf("source %q: got error %v, want one at pkg/blob/x.go:1", text, err)
		}
	}
}

// TestLoadTreeNeedsTheRoot guards against rules that hold because they looked at nothing.
func TestLoadTreeNeedsTheRoot(t *testing.T) {
	if _, err := loadTree(fstest.MapFS{"x.txt": {}}); err == nil {
		t.Error("a folder without .gitignore was taken for the module's root")
	}
}
