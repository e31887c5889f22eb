package jobspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"pencere/pkg/nearest"
	"pencere/pkg/plan"
)

// shape is what may stand at a place of the spec. The table in spec.go is built of shapes; the parser and the JSON
// Schema are both read off it.
type shape interface {
	// read checks the node and puts its value into the job.
	read(w *walker, path string, node ast.Node)
	// absent puts the default, if there is one, into the job.
	absent(job *plan.Job)
	// schema describes the shape; each call makes a new one.
	schema() *jsonSchema
}

// field is a key of a mapping.
type field struct {
	name     string
	doc      string
	required bool
	shape    shape
	examples []string // as they would be written; a test parses them
}

// mapping is a mapping with known keys.
type mapping struct {
	fields []field
	// oneOf are fields of which just one must be there.
	oneOf []string
	// elsewhere says of fields that are known but do not belong here where they belong.
	elsewhere map[string]string
	// begin makes room in the job for what the mapping says; nil when there is room.
	begin func(*plan.Job)
}

func (m mapping) read(w *walker, path string, node ast.Node) {
	entries, ok := w.entries(path, node)
	if !ok {
		return
	}
	if m.begin != nil {
		m.begin(&w.job)
	}
	meant := m.readEntries(w, path, entries)
	at := begin(node)
	if where, ok := w.places[path]; ok {
		at = where.at
	}
	for _, f := range m.fields {
		switch {
		case w.wasWritten(join(path, f.name)):
		case f.required && slices.Contains(meant, f.name):
			w.silence(join(path, f.name))
		case f.required:
			w.fail(join(path, f.name), at, "%s is missing: %s", f.name, f.doc)
		default:
			f.shape.absent(&w.job)
		}
	}
	m.checkOneOf(w, path, at, meant)
}

// readEntries reads the known fields and returns those that the unknown ones were probably meant to be.
func (m mapping) readEntries(w *walker, path string, entries []entry) (meant []string) {
	for _, e := range entries {
		child := join(path, e.name)
		f := m.field(e.name)
		if f == nil {
			suggestion := m.near(e.name)
			meant = append(meant, suggestion)
			w.failNear(child, e.at, m.unknown(e.name, suggestion), suggestion)
			continue
		}
		w.places[child] = place{at: e.at}
		if !w.noValue(child, e) {
			f.shape.read(w, child, e.value)
		}
	}
	return meant
}

// near returns the field that was probably meant by an unknown one.
func (m mapping) near(name string) string {
	if m.elsewhere[name] != "" {
		return ""
	}
	return nearest.Name(name, m.names())
}

// unknown says that there is no such field; which ones there are is added where no suggestion follows.
func (m mapping) unknown(name, suggestion string) string {
	if where := m.elsewhere[name]; where != "" {
		return fmt.Sprintf("field %q %s", name, where)
	}
	if suggestion != "" {
		return fmt.Sprintf("unknown field %q", name)
	}
	return fmt.Sprintf("unknown field %q; there are %s", name, strings.Join(m.names(), ", "))
}

func (m mapping) checkOneOf(w *walker, path string, at position, meant []string) {
	if len(m.oneOf) == 0 {
		return
	}
	var there []string
	for _, name := range m.oneOf {
		if w.wasWritten(join(path, name)) {
			there = append(there, name)
		}
	}
	switch {
	case len(there) == 0 && slices.ContainsFunc(m.oneOf, func(name string) bool { return slices.Contains(meant, name) }):
		w.silence(path)
	case len(there) == 0:
		w.fail(path, at, "one of %s is needed", strings.Join(m.oneOf, ", "))
	case len(there) > 1:
		second := join(path, there[1])
		w.fail(second, w.places[second].at, "%s exclude each other; keep one", strings.Join(there, " and "))
	case w.hasFailed(join(path, there[0])):
		w.silence(join(path, m.oneOf[0])) // where the planner would miss it
	}
}

func (m mapping) absent(job *plan.Job) {
	if m.begin != nil {
		return // the whole part of the job is left out
	}
	for _, f := range m.fields {
		f.shape.absent(job)
	}
}

func (m mapping) field(name string) *field {
	for i := range m.fields {
		if m.fields[i].name == name {
			return &m.fields[i]
		}
	}
	return nil
}

func (m mapping) names() []string {
	names := make([]string, len(m.fields))
	for i := range m.fields {
		names[i] = m.fields[i].name
	}
	return names
}
