// Package layers holds no code but tests: they read the project's own source and fail when it breaks a rule about what may
// import what, what a pure package may do, and how packages and files are named, described and sized.
//
// Run them with -count=1: a result from the cache of `go test`, which knows a file by its size and time alone, proves less.
package layers

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// modulePath is the path of the project's module: an import below it is one of the project's own packages.
const modulePath = "pencere"

// tree is what the rules look at: the source of one module.
type tree struct {
	folders  []string // top-level folders, without those that start with a dot or that git ignores
	packages []goPackage
}

// goPackage is one folder's Go source, test files and external test package included.
type goPackage struct {
	path  string // slash-separated folder, relative to the module's root: "pkg/window"
	files []goFile
}

// goFile is one parsed Go file. Build constraints are not looked at: a rule holds on every platform and under every tag.
type goFile struct {
	path      string
	syntax    *ast.File
	positions *token.FileSet
	imports   []string // import paths, as written
	lines     int
	test      bool
	generated bool
}

// loadTree reads and parses every Go package of the module whose root is fsys.
func loadTree(fsys fs.FS) (tree, error) {
	folders, err := topFolders(fsys)
	if err != nil {
		return tree{}, err
	}
	t := tree{folders: folders}
	byPath := map[string]int{}
	err = walkGoFiles(fsys, folders, func(file goFile) {
		folder := path.Dir(file.path)
		at, known := byPath[folder]
		if !known {
			at = len(t.packages)
			byPath[folder] = at
			t.packages = append(t.packages, goPackage{path: folder})
		}
		t.packages[at].files = append(t.packages[at].files, file)
	})
	return t, err
}

// topFolders lists the folders at the root, without tools' own (".git") and without those that .gitignore names ("bin").
func topFolders(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("list the module's root: %w", err)
	}
	ignore, err := fs.ReadFile(fsys, ".gitignore")
	if err != nil {
		return nil, fmt.Errorf("read .gitignore: %w", err)
	}
	ignored := strings.Fields(string(ignore))
	var folders []string
	for _, entry := range entries {
		name := entry.Name()
		outside := strings.HasPrefix(name, ".") || slices.Contains(ignored, name+"/") || slices.Contains(ignored, "/"+name+"/")
		if entry.IsDir() && !outside {
			folders = append(folders, name)
		}
	}
	return folders, nil
}

// walkGoFiles visits every Go file below the folders that belongs to a package, in lexical order.
func walkGoFiles(fsys fs.FS, folders []string, visit func(goFile)) error {
	walk := func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && notOurs(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		file, err := loadFile(fsys, name)
		if err == nil {
			visit(file)
		}
		return err
	}
	for _, folder := range folders {
		if err := fs.WalkDir(fsys, folder, walk); err != nil {
			return err
		}
	}
	return nil
}

// notOurs tells whether a folder holds no package of the module: the go command skips the first three kinds, go.mod the fourth.
func notOurs(folder string) bool {
	return strings.HasPrefix(folder, ".") || strings.HasPrefix(folder, "_") || folder == "testdata" || folder == "node_modules"
}

func loadFile(fsys fs.FS, name string) (goFile, error) {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return goFile{}, err
	}
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}
	file := goFile{
		path:      name,
		syntax:    syntax,
		positions: positions,
		lines:     bytes.Count(source, []byte("\n")),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		file.imports = append(file.imports, imported)
	}
	return file, nil
}

// within tells whether a slash-separated path is a folder or lies below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// withinAny tells whether a path lies in one of the folders.
func withinAny(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return within(name, folder) })
}

// ownPackage gives the folder of an import that is one of the module's own packages.
func ownPackage(imported string) (folder string, own bool) {
	return strings.CutPrefix(imported, modulePath+"/")
}
