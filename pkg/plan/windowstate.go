package plan

import (
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// WindowConfig returns what the program's window groups by and computes, as a window.Store takes it, without an allocator. The
// program must have a window.
func (p *Program) WindowConfig() window.Config {
	c := window.Config{Reduced: p.Window.Reduced, Window: p.Tumbling()}
	for _, key := range p.Window.Keys {
		c.Keys = append(c.Keys, p.Rows[key])
	}
	for i, a := range p.Window.Aggregates {
		spec := window.AggregateSpec{Name: p.Job.Window.Aggregates[i].Name, Func: a.Func}
		if a.Arg != nil {
			spec.Arg = a.Arg.Type()
		}
		c.Aggregates = append(c.Aggregates, spec)
	}
	return c
}

// Tumbling returns the windows of the program, which must have some. Instants are cut in the session's time zone, wall-clock times
// as they are.
func (p *Program) Tumbling() window.Tumbling {
	w := window.Tumbling{Size: p.Job.Window.Size.Milliseconds(), Offset: p.Job.Window.Offset.Milliseconds(), Lateness: p.Job.Window.AllowedLateness.Milliseconds()}
	if p.Rows[p.TimeColumn].Type.Kind == sqltype.TimestampLTZ {
		w.Zone = p.Zone
	}
	return w
}
