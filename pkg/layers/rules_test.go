package layers

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// rule is one sentence about the tree that a program can check.
type rule struct {
	name  string
	says  string                // what must hold, for whoever broke it
	check func(t tree) []string // one message for each breach, empty when the rule holds
}

// rules are all of them. The order is that of the tables below.
var rules = []rule{
	{"top-folders", "the top level holds only " + strings.Join(allowedFolders, ", ") + " and dot-folders", checkTopFolders},
	{"direction", "imports go main → daemon → own internal → pkg; never pkg → program, never program → another program", eachImport(checkDirection)},
	{"no-way-back", "a program's internal packages do not know the daemon that wires them", eachImport(checkWayBack)},
	{"small-main", fmt.Sprintf("a program's main.go only turns flags into a call, in at most %d lines", maxMainLines), eachFile(checkSmallMain)},
	{"pure-imports", "a pure package reaches no network, file, clock, log or generated code, and only other pure packages", eachImport(checkPureImports)},
	{"pure-code", "a pure package gets time and randomness as arguments and starts no goroutine", eachFile(checkPureCode)},
	{"connectors-apart", "a connector does not know another connector", eachImport(checkConnectorsApart)},
	{"test-support", "what is there for tests alone is in no program", eachImport(checkTestSupport)},
	{"package-names", "a package is named for what it does, not for being used by many", eachFile(checkPackageName)},
	{"package-comment", "every package says in a package comment what it is for", eachPackage(checkPackageComment)},
	{"file-length", fmt.Sprintf("a hand-written file has at most %d lines: find the seam and split it", maxFileLines), eachFile(checkFileLength)},
}

const (
	maxFileLines = 700
	maxMainLines = 60
)

var (
	allowedFolders = []string{"proto", "jobmanager", "taskmanager", "submitter", "pkg", "web", "compose"}

	programs = []string{"jobmanager", "taskmanager", "submitter"}

	// mayImport names, for each top-level folder, the other top-level folders whose packages it may import. (web and compose hold
	// embedded files: the built UI, the example jobs.)
	mayImport = map[string][]string{
		"jobmanager":  {"pkg", "web"},
		"taskmanager": {"pkg"},
		"submitter":   {"pkg", "compose"},
		"pkg":         {},
		"web":         {},
		"compose":     {"pkg"},
		"proto":       {},
	}

	// wholeClusters run every program in one process, through the programs' front doors.
	wholeClusters = []string{"submitter/internal/localcluster", "submitter/e2e"}
	frontDoors    = []string{"jobmanager/daemon", "taskmanager/daemon"}

	// pure packages, each with all below it, decide and compute; they act on nothing. Their tests may: those read golden files and run goroutines.
	pure = []string{
		"pkg/checkpoint", "pkg/eventtime", "pkg/expr", "pkg/format", "pkg/javafmt", "pkg/jobspec", "pkg/ledger", "pkg/nearest", "pkg/plan",
		"pkg/polling", "pkg/rowkey", "pkg/sqltype", "pkg/window",
		"jobmanager/internal/coordinator", "jobmanager/internal/elastic", "jobmanager/internal/jobfsm", "jobmanager/internal/membership",
		"jobmanager/internal/scheduler", "jobmanager/internal/why",
	}

	// testSupport packages hold data and helpers of tests.
	testSupport = []string{"pkg/flinkcases", "pkg/monitoring/monitoringtest"}

	// impureImports are the packages, each with all below it, through which the world outside comes in.
	impureImports = []string{
		"net", "os", "log", "syscall", "crypto/rand",
		"google.golang.org/grpc", "github.com/twmb/franz-go", "github.com/hashicorp/raft", "go.mongodb.org/mongo-driver/v2/mongo",
	}

	// pureImports are exceptions to impureImports: they work on text alone.
	pureImports = []string{"net/url"}

	// impureFunctions read the clock, wait on it, or draw from a source that the caller did not choose.
	impureFunctions = map[string][]string{
		"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
		"math/rand/v2": {
			"Int", "IntN", "Int32", "Int32N", "Int64", "Int64N", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN", "Uint", "N",
			"Float32", "Float64", "NormFloat64", "ExpFloat64", "Perm", "Shuffle",
		},
	}

	// drawers are names under which everything and so nothing fits.
	drawers = []string{
		"common", "helper", "helpers", "misc", "model", "models", "shared", "structs", "type", "types", "util", "utils",
	}
)

// eachImport makes a rule's check of one that judges a single import of a hand-written file by its path.
func eachImport(judge func(pkg goPackage, file goFile, imported string) string) func(tree) []string {
	return eachFile(func(pkg goPackage, file goFile) []string {
		var breaches []string
		for _, imported := range file.imports {
			if breach := judge(pkg, file, imported); breach != "" {
				breaches = append(breaches, fmt.Sprintf("%s: imports %s: %s", file.path, imported, breach))
			}
		}
		return breaches
	})
}

// eachFile makes a rule's check of one that judges a single hand-written file.
func eachFile(judge func(pkg goPackage, file goFile) []string) func(tree) []string {
	return eachPackage(func(pkg goPackage) []string {
		var breaches []string
		for _, file := range pkg.files {
			if !file.generated {
				breaches = append(breaches, judge(pkg, file)...)
			}
		}
		return breaches
	})
}

// eachPackage makes a rule's check of one that judges a single package.
func eachPackage(judge func(pkg goPackage) []string) func(tree) []string {
	return func(t tree) []string {
		var breaches []string
		for _, pkg := range t.packages {
			breaches = append(breaches, judge(pkg)...)
		}
		return breaches
	}
}

func checkTopFolders(t tree) []string {
	var breaches []string
	for _, folder := range t.folders {
		if !slices.Contains(allowedFolders, folder) {
			breaches = append(breaches, folder+": not a folder of the layout")
		}
	}
	return breaches
}

func checkDirection(pkg goPackage, _ goFile, imported string) string {
	target, own := ownPackage(imported)
	if !own {
		return ""
	}
	from, to := topFolder(pkg.path), topFolder(target)
	switch {
	case from == to && slices.Contains(programs, pkg.path) && slices.Contains(programs, from):
		return mainDirection(from, target)
	case from == to || slices.Contains(mayImport[from], to):
		return ""
	case withinAny(pkg.path, wholeClusters) && slices.Contains(frontDoors, target):
		return ""
	default:
		return fmt.Sprintf("%s may import %s", from, orNothing(mayImport[from]))
	}
}

// mainDirection judges an import of a program's main package from the program itself: a daemon has one front door, the
// submitter's commands are its own insides.
func mainDirection(program, target string) string {
	door := program + "/daemon"
	if program == "submitter" || target == door {
		return ""
	}
	return "main reaches its program through " + door
}

func checkWayBack(pkg goPackage, _ goFile, imported string) string {
	target, own := ownPackage(imported)
	from := topFolder(pkg.path)
	if own && within(pkg.path, from+"/internal") && target == from+"/daemon" {
		return "the daemon imports it, and hands it what it needs"
	}
	return ""
}

func checkSmallMain(pkg goPackage, file goFile) []string {
	if path.Base(file.path) == "main.go" && slices.Contains(programs, pkg.path) && file.lines > maxMainLines {
		return []string{fmt.Sprintf("%s: %d lines", file.path, file.lines)}
	}
	return nil
}

func checkPureImports(pkg goPackage, file goFile, imported string) string {
	if file.test || !withinAny(pkg.path, pure) {
		return ""
	}
	if withinAny(imported, impureImports) && !slices.Contains(pureImports, imported) {
		return "the world outside"
	}
	if target, own := ownPackage(imported); own && !withinAny(target, pure) {
		return "not a pure package"
	}
	return ""
}

func checkTestSupport(_ goPackage, file goFile, imported string) string {
	if target, own := ownPackage(imported); own && !file.test && slices.Contains(testSupport, target) {
		return "for tests alone"
	}
	return ""
}

func checkPureCode(pkg goPackage, file goFile) []string {
	if file.test || !withinAny(pkg.path, pure) {
		return nil
	}
	var breaches []string
	names := importNames(file)
	ast.Inspect(file.syntax, func(node ast.Node) bool {
		if what := impurity(node, names); what != "" {
			breaches = append(breaches, fmt.Sprintf("%s: %s", file.positions.Position(node.Pos()), what))
		}
		return true
	})
	return breaches
}

// impurity tells what is impure about a single node, empty when nothing is. It goes by syntax: a local variable that has the
// name of an import is taken for the import.
func impurity(node ast.Node, importNames map[string]string) string {
	switch node := node.(type) {
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.SelectorExpr:
		name, isName := node.X.(*ast.Ident)
		if !isName {
			return ""
		}
		imported := importNames[name.Name]
		if slices.Contains(impureFunctions[imported], node.Sel.Name) {
			return fmt.Sprintf("uses %s.%s", imported, node.Sel.Name)
		}
	}
	return ""
}

// importNames maps the name under which a file knows each of its imports to the import's path.
func importNames(file goFile) map[string]string {
	names := map[string]string{}
	for i, spec := range file.syntax.Imports {
		name := path.Base(file.imports[i])
		if isVersion(name) {
			name = path.Base(path.Dir(file.imports[i]))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = file.imports[i]
	}
	return names
}

// isVersion tells whether the last element of an import path is a major version ("v2"), which is no part of the package's name.
func isVersion(element string) bool {
	digits, found := strings.CutPrefix(element, "v")
	_, err := strconv.Atoi(digits)
	return found && err == nil
}

func checkConnectorsApart(pkg goPackage, _ goFile, imported string) string {
	target, own := ownPackage(imported)
	here, there := connector(pkg.path), connector(target)
	if own && here != "" && there != "" && here != there {
		return fmt.Sprintf("%s is another connector: what both need belongs beside them in pkg", there)
	}
	return ""
}

// connector gives the name of the connector that a package belongs to, empty for none.
func connector(pkg string) string {
	below, found := strings.CutPrefix(pkg, "pkg/connector/")
	if !found {
		return ""
	}
	return topFolder(below)
}

func checkPackageName(pkg goPackage, file goFile) []string {
	var breaches []string
	clause := strings.TrimSuffix(file.syntax.Name.Name, "_test")
	for _, name := range slices.Compact([]string{path.Base(pkg.path), clause}) {
		if slices.Contains(drawers, name) {
			breaches = append(breaches, fmt.Sprintf("%s: named %s", file.path, name))
		}
	}
	return breaches
}

func checkPackageComment(pkg goPackage) []string {
	written, described := false, false
	for _, file := range pkg.files {
		written = written || !file.generated
		described = described || file.syntax.Doc != nil
	}
	if written && !described {
		return []string{pkg.path + ": no package comment"}
	}
	return nil
}

func checkFileLength(_ goPackage, file goFile) []string {
	if file.lines > maxFileLines {
		return []string{fmt.Sprintf("%s: %d lines", file.path, file.lines)}
	}
	return nil
}

func topFolder(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

func orNothing(folders []string) string {
	if len(folders) == 0 {
		return "nothing but itself"
	}
	return "only " + strings.Join(folders, ", ")
}
