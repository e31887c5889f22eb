package jobspec

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"pencere/pkg/plan"
)

// sequence returns the items of a list, which has at least one.
func (w *walker) sequence(path string, node ast.Node) ([]ast.Node, bool) {
	list, ok := node.(*ast.SequenceNode)
	switch {
	case !ok:
		w.fail(path, begin(node), "this is %s, but a list belongs here, such as [a, b]", describe(node))
	case len(list.Values) == 0:
		w.fail(path, begin(node), "the list is empty; give it an item or leave it out")
	default:
		return list.Values, true
	}
	return nil, false
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// texts is a list of texts. With a separator one text that holds them all may stand for the list.
type texts struct {
	kind      kind[string]
	separator string
	into      func(*plan.Job) *[]string
}

func (t texts) read(w *walker, path string, node ast.Node) {
	if _, _, isScalar := scalarText(node); isScalar && t.separator != "" {
		if all, ok := readScalar(w, path, node, t.kind); ok {
			for part := range strings.SplitSeq(all, t.separator) {
				t.append(w, strings.TrimSpace(part))
			}
		}
		return
	}
	items, ok := w.sequence(path, node)
	if !ok {
		return
	}
	for i, node := range items {
		// An item with an error is kept as "", so that the others keep their numbers.
		value, _ := readScalar(w, item(path, i), node, t.kind)
		t.append(w, value)
	}
}

func (t texts) append(w *walker, value string) {
	list := t.into(&w.job)
	*list = append(*list, value)
}

func (t texts) absent(*plan.Job) {}

// entriesOf is a mapping whose keys are the user's names, in order.
type entriesOf[T any] struct {
	kind kind[T]
	add  func(job *plan.Job, name string, value T)
}

func (e entriesOf[T]) read(w *walker, path string, node ast.Node) {
	entries, ok := w.entries(path, node)
	if !ok {
		return
	}
	for _, entry := range entries {
		child := join(path, entry.name)
		if strings.TrimSpace(entry.name) == "" {
			w.fail(child, entry.at, "the name is empty")
			continue
		}
		w.places[child] = place{at: entry.at}
		var value T
		if !w.noValue(child, entry) {
			value, _ = readScalar(w, child, entry.value, e.kind)
		}
		// After an error the name is still known, so that what uses it is no second error.
		e.add(&w.job, entry.name, value)
	}
}

func (e entriesOf[T]) absent(*plan.Job) {}

// either is a scalar or a mapping.
type either struct {
	scalar  shape
	mapping shape
}

func (e either) read(w *walker, path string, node ast.Node) {
	if _, _, isScalar := scalarText(node); isScalar {
		e.scalar.read(w, path, node)
		return
	}
	before := len(w.errors)
	e.mapping.read(w, path, node)
	if len(w.errors) > before {
		w.silence(path) // the planner would miss the whole value
	}
}

func (e either) absent(job *plan.Job) { e.scalar.absent(job) }
