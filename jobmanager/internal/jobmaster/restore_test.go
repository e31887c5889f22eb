package jobmaster

import (
	"fmt"
	"strings"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"

	"github.com/google/go-cmp/cmp"
)

// specOf is the spec of a job whose parts are given, the others as they are in every case.
type specOf struct{ head, kafka, rest, sink, dead string }

var savedSpec = specOf{
	head: "parallelism: 2", kafka: "topic: t", rest: "window: {tumble: 2m, group_by: [id]}", sink: "csv: {path: out}", dead: "csv: {path: dead}",
}

func (s specOf) parse(t *testing.T) plan.Job {
	t.Helper()
	text := fmt.Sprintf(`
name: saved
%s
source:
  kafka: {brokers: "k:9092", %s}
  on_error: dead_letter
  schema: {id: INT, t: TIMESTAMP(3)}
  watermark: {column: t}
%s
sink: {%s}
dead_letters: {%s}
`, s.head, s.kafka, s.rest, s.sink, s.dead)
	job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// restorationOf fits a savepoint of savedSpec, of two subtasks a vertex at 64 key groups, and a job together.
func restorationOf(t *testing.T, kind checkpoint.Kind, job *plan.Job) *restoration {
	t.Helper()
	old, err := plan.Compile(savedSpec.parse(t))
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint.Checkpoint{ID: 7, Kind: kind, MaxParallelism: 64}
	source, window := old.Vertices[0].ID, old.Vertices[1].ID
	for i := range 2 {
		split := checkpoint.Split{Number: int32(i), Topic: "t", Partition: int32(i), Next: 5, Stop: -1}
		c.States = append(c.States,
			checkpoint.State{
				Subtask: checkpoint.Subtask{VertexID: source, Index: i}, Splits: []checkpoint.Split{split},
				DeadLetters: checkpoint.Sink{Next: 1, Pending: []checkpoint.PartFile{{Name: "dead"}}},
			},
			checkpoint.State{
				Subtask: checkpoint.Subtask{VertexID: window, Index: i},
				Sink:    checkpoint.Sink{Next: 1, Pending: []checkpoint.PartFile{{Name: "part"}}, Transactions: []checkpoint.Transaction{{ID: "a"}}},
			})
	}
	return &restoration{old: old, job: job, metadata: checkpoint.Metadata{
		JobID: "j", Checkpoint: c, Splits: []checkpoint.Split{{Number: 0, Topic: "t", Stop: -1}, {Number: 1, Topic: "t", Partition: 1, Stop: -1}},
	}}
}

// What keeps a job from going on from a savepoint is said, all of it, with what to do.
func TestRestoreRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		kind   checkpoint.Kind
		change func(*specOf)
		allow  bool
		want   []string // a part of each reason, in order
	}{
		"nothing has changed":                {want: nil},
		"stopped, and nothing has changed":   {kind: checkpoint.Stop, want: nil},
		"max_parallelism as it was":          {change: func(s *specOf) { s.head += "\nmax_parallelism: 64" }},
		"another max_parallelism":            {change: func(s *specOf) { s.head += "\nmax_parallelism: 32" }, want: []string{"max_parallelism is 32 and was 64: state cannot move between other key groups; set it to 64, or leave it out"}},
		"too wide":                           {change: func(s *specOf) { s.head = "parallelism: 65" }, want: []string{"parallelism 65 is more than the savepoint's max_parallelism, which is 64"}},
		"another size of window":             {change: func(s *specOf) { s.rest = "window: {tumble: 1m, group_by: [id]}" }, want: []string{"window size was 120000 ms and is 60000 ms"}},
		"drained":                            {kind: checkpoint.Drain, want: []string{"it was taken with --drain"}},
		"drained, and another size":          {kind: checkpoint.Drain, change: func(s *specOf) { s.rest = "window: {tumble: 1m, group_by: [id]}" }, want: []string{"--drain", "window size was 120000 ms and is 60000 ms"}},
		"bounded now":                        {change: func(s *specOf) { s.kafka += ", bounded: latest" }, want: []string{"source.kafka.bounded has changed"}},
		"another topic":                      {change: func(s *specOf) { s.kafka = "topic: other" }, want: []string{"the savepoint has positions in topic t, which the job does not read"}},
		"a further topic":                    {change: func(s *specOf) { s.kafka = "topic: [u, t]" }},
		"a pattern that has the topic":       {change: func(s *specOf) { s.kafka = "topic_pattern: 't|u'" }},
		"a pattern that has a part of it":    {change: func(s *specOf) { s.kafka = "topic_pattern: 't.'" }, want: []string{"positions in topic t"}},
		"a pattern that has its end":         {change: func(s *specOf) { s.kafka = "topic_pattern: 'x*'" }, want: []string{"positions in topic t"}},
		"bounded, of another topic":          {change: func(s *specOf) { s.kafka = "topic: other, bounded: latest" }, want: []string{"bounded", "positions in topic t"}},
		"no window":                          {change: func(s *specOf) { s.rest = "" }, want: []string{"there is no vertex for the state of", "there is no vertex for the state of"}},
		"no window, and that is allowed":     {change: func(s *specOf) { s.rest = "" }, allow: true},
		"no window, allowed, another topic":  {change: func(s *specOf) { s.rest, s.kafka = "", "topic: other" }, allow: true},
		"drained, and no window any more":    {kind: checkpoint.Drain, change: func(s *specOf) { s.rest = "" }, allow: true},
		"another window, allowed or not":     {change: func(s *specOf) { s.rest = "window: {tumble: 1m, group_by: [id]}" }, allow: true, want: []string{"window size was 120000 ms and is 60000 ms"}},
		"another directory, for all of that": {change: func(s *specOf) { s.sink, s.dead = "csv: {path: o2}", "csv: {path: d2}" }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := savedSpec
			if c.change != nil {
				c.change(&spec)
			}
			job := spec.parse(t)
			r := restorationOf(t, c.kind, &job)
			r.allowNonRestored = c.allow
			r.check()
			if len(r.reasons) != len(c.want) {
				t.Fatalf("reasons %q, want %q", r.reasons, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(r.reasons[i], want) {
					t.Errorf("reason %q does not say %q", r.reasons[i], want)
				}
			}
			if len(c.want) == 0 && job.MaxParallelism != 64 {
				t.Errorf("the job has max_parallelism %d", job.MaxParallelism)
			}
		})
	}
}

// What goes on: the state of the vertices that there are; files and transactions that wait, where the job writes to the same place; positions,
// where the job has the source that they are of.
func TestRestoreTakes(t *testing.T) {
	type taken struct{ States, Splits, Files, Transactions, DeadLetters int }
	all := taken{States: 4, Splits: 2, Files: 2, Transactions: 2, DeadLetters: 2}
	for name, c := range map[string]struct {
		change func(*specOf)
		want   taken
	}{
		"all":                                {func(*specOf) {}, all},
		"with another parallelism":           {func(s *specOf) { s.head = "parallelism: 5" }, all},
		"with a sink elsewhere":              {func(s *specOf) { s.sink = "csv: {path: elsewhere}" }, taken{4, 2, 0, 0, 2}},
		"with a topic as sink":               {func(s *specOf) { s.sink = `kafka: {brokers: "k:9092", topic: out}` }, taken{4, 2, 0, 0, 2}},
		"with dead letters elsewhere":        {func(s *specOf) { s.dead = "csv: {path: elsewhere}" }, taken{4, 2, 2, 2, 0}},
		"with a topic of dead letters":       {func(s *specOf) { s.dead = `kafka: {brokers: "k:9092", topic: dead}` }, taken{4, 2, 2, 2, 0}},
		"without the window, nor the source": {func(s *specOf) { s.rest = "" }, taken{}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := savedSpec
			c.change(&spec)
			job := spec.parse(t)
			r := restorationOf(t, checkpoint.Savepoint, &job)
			before := r.metadata.Checkpoint.Encode()
			untouched := r.metadata.Checkpoint
			r.allowNonRestored = true
			r.check()
			if len(r.reasons) > 0 {
				t.Fatal(r.reasons)
			}
			got := taken{States: len(r.metadata.Checkpoint.States), Splits: len(r.metadata.Splits)}
			for _, s := range r.metadata.Checkpoint.States {
				got.Files += len(s.Sink.Pending)
				got.Transactions += len(s.Sink.Transactions)
				got.DeadLetters += len(s.DeadLetters.Pending)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if string(untouched.Encode()) != string(before) {
				t.Error("the savepoint itself has changed")
			}
		})
	}
}

// Two topics are the same place on the same brokers alone.
func TestSameSink(t *testing.T) {
	files := func(path string) plan.Sink { return plan.Sink{CSV: &plan.CSVSink{Path: path}} }
	topic := func(name string, brokers ...string) plan.Sink {
		return plan.Sink{Kafka: &plan.KafkaSink{Topic: name, Brokers: brokers}}
	}
	for _, c := range []struct {
		a, b plan.Sink
		want bool
	}{
		{files("a"), files("a"), true}, {files("a"), files("b"), false}, {files("a"), topic("a", "k"), false}, {topic("a", "k"), files("a"), false},
		{topic("a", "k"), topic("a", "k"), true}, {topic("a", "k"), topic("b", "k"), false}, {topic("a", "k"), topic("a", "l"), false},
	} {
		if got := sameSink(c.a, c.b); got != c.want {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
	}
}

// A savepoint whose splits are not numbered through is refused: positions would go to other partitions.
func TestRestoreRefusesSplitNumbers(t *testing.T) {
	job := savedSpec.parse(t)
	r := restorationOf(t, checkpoint.Savepoint, &job)
	r.metadata.Splits[1].Number = 2
	r.check()
	if len(r.reasons) != 1 || r.reasons[0] != "split 1 has number 2" {
		t.Errorf("reasons %q", r.reasons)
	}
}
