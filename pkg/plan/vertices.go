package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// vertices cuts the job where rows change subtasks: before a window. Names number the operators as Flink's plans
// do, in which the exchange before a window has a number too.
func vertices(job Job) []Vertex {
	operators := numbering{}
	source := operators.name("Source: " + job.Source.title())
	if job.Window == nil {
		if len(job.Compute) > 0 || job.Where != "" || len(job.Select) > 0 {
			source += " -> " + operators.name("Calc")
		}
		source += " -> " + operators.name("Sink: "+job.Sink.title())
		return []Vertex{{ID: vertexID("source", "sink"), Name: source}}
	}
	source += " -> " + operators.name("Calc")
	operators.next++ // the exchange
	window := operators.name("GroupWindowAggregate")
	if len(job.Select) > 0 {
		window += " -> " + operators.name("Calc")
	}
	window += " -> " + operators.name("Sink: "+job.Sink.title())
	return []Vertex{
		{ID: vertexID("source"), Name: source},
		{ID: vertexID("window", "sink"), Name: window, Keyed: true},
	}
}

// title names what the source reads.
func (s Source) title() string {
	if s.HTTP != nil {
		var names []string
		for _, split := range s.HTTP.Splits() {
			names = append(names, split.Name)
		}
		return strings.Join(slices.Compact(names), ";")
	}
	if s.Kafka.TopicPattern != "" {
		return s.Kafka.TopicPattern
	}
	return strings.Join(s.Kafka.Topics, ";")
}

// title names what the sink writes.
func (s Sink) title() string {
	switch {
	case s.Kafka != nil:
		return s.Kafka.Topic
	case s.MongoDB != nil:
		return s.MongoDB.Database + "." + s.MongoDB.Collection
	default:
		return "csv"
	}
}

// numbering gives operators their numbers.
type numbering struct{ next int }

func (n *numbering) name(operator string) string {
	n.next++
	return fmt.Sprintf("%s[%d]", operator, n.next)
}

// vertexID derives an ID from the stateful operators of a chain alone, so that a filter or a column that comes or
// goes leaves a vertex its state.
func vertexID(stateful ...string) string {
	sum := sha256.Sum256([]byte("vertex of " + strings.Join(stateful, ", ")))
	return hex.EncodeToString(sum[:16])
}
