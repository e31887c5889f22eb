package jobspec

import (
	"slices"

	"github.com/goccy/go-yaml/ast"

	"pencere/pkg/plan"
)

// variants are mappings of which one field, the same in all, says which one it is.
type variants struct {
	by  string
	doc string
	of  []variant
	set func(job *plan.Job, name string)
}

type variant struct {
	name   string
	fields []field
}

func (v variants) read(w *walker, path string, node ast.Node) {
	entries, ok := w.entries(path, node)
	if !ok {
		return
	}
	// Until the variant is known nothing can be said about the other fields.
	at := slices.IndexFunc(entries, func(e entry) bool { return e.name == v.by })
	if at < 0 {
		w.fail(join(path, v.by), w.places[path].at, "%s is missing: %s", v.by, v.doc)
		return
	}
	child := join(path, v.by)
	if w.noValue(child, entries[at]) {
		return
	}
	name, ok := readScalar(w, child, entries[at].value, enum(v.names()...))
	if !ok {
		return
	}
	v.set(&w.job, name)
	v.mapping(name).read(w, path, node)
}

// absent does nothing: which variant is the default depends on the rest of the job.
func (v variants) absent(*plan.Job) {}

func (v variants) names() []string {
	names := make([]string, len(v.of))
	for i := range v.of {
		names[i] = v.of[i].name
	}
	return names
}

// mapping returns the fields of one variant, which knows the others' fields by name.
func (v variants) mapping(name string) mapping {
	discriminator := one(enum(name), func(*plan.Job, string) {})
	m := mapping{
		fields:    []field{{name: v.by, doc: v.doc, required: true, shape: discriminator}},
		elsewhere: map[string]string{},
	}
	for _, other := range v.of {
		if other.name == name {
			m.fields = append(m.fields, other.fields...)
			continue
		}
		for _, f := range other.fields {
			m.elsewhere[f.name] = "belongs to " + v.by + ": " + other.name
		}
	}
	return m
}
