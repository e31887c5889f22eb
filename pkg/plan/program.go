package plan

import (
	"time"

	"pencere/pkg/expr"
	"pencere/pkg/sqltype"
)

// Program is a Job that was checked and compiled. It is immutable and may be shared between goroutines.
//
// Rows pass through it in this order, which is Flink's: decode, compute, watermark and window of the row's own
// split, where, exchange by key group, aggregate, select, write.
type Program struct {
	Job Job
	// Zone is the session time zone.
	Zone *time.Location
	// Decoded is the row type that the format decodes; Source adds the metadata columns, Rows the computed ones.
	Decoded, Source, Rows sqltype.Schema
	Compute               []*expr.Program // Compute[i] makes column len(Source)+i of Rows, over the columns before it
	// TimeColumn is the event-time column in Rows, -1 without a watermark.
	TimeColumn int
	Where      *expr.Program // over Rows; nil keeps all
	Window     *WindowProgram
	Select     []*expr.Program // over Window.Result, or Rows without a window; nil passes their columns on as they are
	Sink       sqltype.Schema  // the row type that is written
	Record     *RecordProgram  // what a Kafka sink writes beside the row; nil for others
	DocumentID *expr.Program   // the _id of a MongoDB sink's documents, over what Select reads; nil takes the record's place
	Vertices   []Vertex        // in the order of the data: source first
}

// WindowProgram is a compiled window.
type WindowProgram struct {
	// Keys are the group_by columns in Rows.
	Keys       []int
	Aggregates []Aggregate
	// Reduced says how SUM and AVG add up (see window.Config).
	Reduced bool
	// Result is the row type of a fired window: the keys, the aggregates, window_start, window_end.
	Result sqltype.Schema
}

// Aggregate is a compiled aggregate call.
type Aggregate struct {
	Func   string        // COUNT, SUM, MIN, MAX or AVG
	Arg    *expr.Program // over Rows; nil for COUNT(*)
	Result sqltype.Type
}

// Vertex is an operator chain that runs as subtasks.
type Vertex struct {
	// ID is 32 hexadecimal digits, the same for the same job in every run: state is found by it.
	ID string
	// Name shows the chain as Flink does: "Source: sahibinden[1] -> Calc[2]" (a topic's name stands for Flink's table).
	Name string
	// Keyed says that the input arrives by key group; otherwise the vertex reads the source.
	Keyed bool
}

// RecordProgram is compiled over what Select reads.
type RecordProgram struct {
	Key     *expr.Program // nil writes no keys
	Headers []*expr.Program
}

// Edge carries what one vertex sends to another, as it is made: pipelined, in Flink's words.
type Edge struct {
	From, To string // ids of vertices
	// Keyed says that every subtask of From sends to every subtask of To; otherwise each sends to that of its own index.
	Keyed bool
}

// Edges returns the edges between the vertices.
func (p *Program) Edges() []Edge {
	var edges []Edge
	for i := 1; i < len(p.Vertices); i++ {
		edges = append(edges, Edge{From: p.Vertices[i-1].ID, To: p.Vertices[i].ID, Keyed: p.Vertices[i].Keyed})
	}
	return edges
}
