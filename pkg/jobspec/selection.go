package jobspec

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"pencere/pkg/plan"
)

// selection is the list under select: names of columns, "expression AS name", or {name: expression}.
type selection struct{}

func (selection) read(w *walker, path string, node ast.Node) {
	items, ok := w.sequence(path, node)
	if !ok {
		return
	}
	for i, node := range items {
		// An item with an error is kept empty, so that the others keep their numbers.
		w.job.Select = append(w.job.Select, readSelected(w, item(path, i), node))
	}
}

func (selection) absent(*plan.Job) {}

func readSelected(w *walker, path string, node ast.Node) plan.NamedExpr {
	if _, _, isScalar := scalarText(node); !isScalar {
		return readNamed(w, path, node)
	}
	written, ok := readScalar(w, path, node, selected())
	if !ok {
		return plan.NamedExpr{}
	}
	if expression, name, ok := cutAlias(written); ok {
		return plan.NamedExpr{Name: name, Expr: expression}
	}
	if name, ok := columnName(written); ok {
		return plan.NamedExpr{Name: name, Expr: identifier(name)}
	}
	message := "an expression needs a name: write it as: expression AS name"
	if strings.TrimSpace(written) == "*" {
		message = "leave select out to have all columns"
	}
	w.fail(path, w.places[path].at, "%s", message)
	return plan.NamedExpr{}
}

// selected is what may be written as an item of select.
func selected() kind[string] { return text("a column") }

// readNamed reads {name: expression}.
func readNamed(w *walker, path string, node ast.Node) plan.NamedExpr {
	entries, ok := w.entries(path, node)
	switch {
	case !ok:
	case len(entries) != 1:
		w.fail(path, begin(node), "a column is one name with its expression, here are %d", len(entries))
	case !w.noValue(path, entries[0]):
		if expression, ok := readScalar(w, path, entries[0].value, anyScalar("an expression")); ok {
			return plan.NamedExpr{Name: entries[0].name, Expr: expression}
		}
	}
	return plan.NamedExpr{}
}

// cutAlias splits "expression AS name" at the last AS that stands outside parentheses and quotes.
func cutAlias(text string) (expression, name string, ok bool) {
	at := -1
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '`' || c == '"':
			i += quotedLength(text[i:])
			continue
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0 && isWord(text, i, "AS"):
			at = i
		}
		i++
	}
	if at < 0 {
		return "", "", false
	}
	name, ok = columnName(text[at+len("AS"):])
	return strings.TrimRight(text[:at], " \t\n"), name, ok && strings.TrimSpace(text[:at]) != ""
}

// quotedLength is the length of the quoted text with which text begins, the quotes too.
func quotedLength(text string) int {
	if end := strings.IndexByte(text[1:], text[0]); end >= 0 {
		return end + 2
	}
	return len(text)
}

// isWord reports whether the word, in any case, stands by itself at text[i:].
func isWord(text string, i int, word string) bool {
	end := i + len(word)
	return end <= len(text) && strings.EqualFold(text[i:end], word) &&
		(i == 0 || !isNamePart(text[i-1])) && (end == len(text) || !isNamePart(text[end]))
}

// isNamePart reports whether c may be a byte of a bare name; those of letters outside ASCII are.
func isNamePart(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// columnName reads a bare name or one in back quotes.
func columnName(text string) (string, bool) {
	name := strings.TrimSpace(text)
	if len(name) > 2 && name[0] == '`' && quotedLength(name) == len(name) {
		return name[1 : len(name)-1], true
	}
	for i := range len(name) {
		if !isNamePart(name[i]) {
			return "", false
		}
	}
	return name, name != "" && (name[0] < '0' || name[0] > '9')
}

// identifier writes a name as an expression that is the column of that name, keyword or not.
func identifier(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
