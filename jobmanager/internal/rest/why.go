package rest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
	"pencere/jobmanager/internal/why"
	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// whyInfo says why a job gives no output: the findings, the most likely cause first, and what they rest on.
type whyInfo struct {
	Findings []why.Finding `json:"findings"`
	Facts    why.Facts     `json:"facts"`
}

func (s *server) why(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	dir, files, err := s.filesOf(r)
	if err != nil {
		return nil, err
	}
	facts := factsOf(j, s.now())
	facts.Slots = slotsOf(s.Cluster.TaskManagers())
	facts.Output = outputOf(dir, files)
	facts = facts.Complete()
	return whyInfo{Findings: why.Explain(facts), Facts: facts}, nil
}

// factsOf has what a job tells of itself.
func factsOf(j view.Job, now int64) why.Facts {
	f := why.Facts{
		Now: now, Status: j.Status, StatusSince: j.Since[j.Status], Notice: j.Notice, Parallelism: j.Parallelism, Running: allRun(j),
		Restarts: j.Restarts, Imbalance: j.Imbalance, Source: sourceOf(j), Sink: sinkOf(j), Where: j.Plan.Where,
		Vertices: []why.Vertex{}, Splits: []why.Split{}, Records: recordsOf(j), Checkpoints: checkpointFacts(j.Checkpoints),
	}
	if i := slices.IndexFunc(j.Failures, func(f view.Failure) bool { return !f.Rescale }); i >= 0 {
		newest := j.Failures[i]
		f.Failure = &why.Failure{Time: newest.Time, Task: newest.Task, Message: newest.Message}
	}
	if j.Plan.Window != nil {
		f.WindowSize = j.Plan.Window.Size.Milliseconds()
	}
	counts := make(map[view.SplitName]ledger.Entry, len(j.Ledger))
	for _, e := range j.Ledger {
		counts[splitName(j, e.Split)] = e
	}
	for _, v := range j.Vertices {
		f.Vertices = append(f.Vertices, vertexFacts(v))
		for _, sub := range v.Subtasks {
			for _, split := range sub.Splits {
				f.Splits = append(f.Splits, splitFacts(split, counts[view.SplitName{Topic: split.Topic, Partition: split.Partition}]))
			}
		}
	}
	slices.SortFunc(f.Splits, func(a, b why.Split) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	f.Windows, f.OpenWindows = windowsOf(j.Vertices)
	return f
}

// allRun reports whether every subtask of a running job processes, or has done so.
func allRun(j view.Job) bool {
	if j.Status != jobfsm.Running || j.Parallelism == 0 || len(j.Vertices) == 0 {
		return false
	}
	for _, v := range j.Vertices {
		if len(v.Subtasks) == 0 || slices.ContainsFunc(v.Subtasks, func(s view.Subtask) bool {
			return s.State != jobfsm.SubtaskRunning && s.State != jobfsm.SubtaskFinished
		}) {
			return false
		}
	}
	return true
}

func sourceOf(j view.Job) why.Source {
	source := why.Source{Topics: []string{}, OnError: string(j.Plan.Source.OnError), Partitions: len(j.SplitNames)}
	if k := j.Plan.Source.Kafka; k != nil {
		source.Topics, source.Pattern = append(source.Topics, k.Topics...), k.TopicPattern
		source.Start, source.Bounded = string(k.Start), k.Bounded
	}
	if h := j.Plan.Source.HTTP; h != nil {
		source.HTTP, source.Bounded, source.Interval = true, h.Bounded, h.Interval.Milliseconds()
		for _, split := range h.Splits() {
			source.Topics = append(source.Topics, split.Name)
		}
		source.Topics = slices.Compact(source.Topics)
	}
	if w := j.Plan.Source.Watermark; w != nil {
		source.TimeColumn, source.Delay, source.IdleAfter = w.Column, w.Delay.Milliseconds(), w.IdleAfter.Milliseconds()
		source.Zoned = isInstant(j.Plan, w.Column)
	}
	return source
}

// sinkOf has the longest trouble of a subtask.
func sinkOf(j view.Job) (sink why.Sink) {
	switch to := j.Plan.Sink; {
	case to.Kafka != nil:
		sink.Kind, sink.Name = why.SinkKafka, to.Kafka.Topic
	case to.MongoDB != nil:
		sink.Kind, sink.Name = why.SinkMongoDB, to.MongoDB.Database+"."+to.MongoDB.Collection
	case to.CSV != nil:
		sink.Kind, sink.Name = why.SinkCSV, to.CSV.Path
	}
	for _, v := range j.Vertices {
		for _, sub := range v.Subtasks {
			if sub.SinkTrouble.Reason != "" && sub.SinkTrouble.Ms >= sink.TroubleFor {
				sink.Trouble, sink.TroubleFor = sub.SinkTrouble.Reason, sub.SinkTrouble.Ms
			}
		}
	}
	return sink
}

// isInstant reports whether a column of the source is an instant and no wall clock.
func isInstant(p plan.Job, column string) bool {
	columns := p.Source.Columns()
	i := columns.Index(column)
	return i >= 0 && columns[i].Type.Kind == sqltype.TimestampLTZ
}

func vertexFacts(v view.Vertex) why.Vertex {
	facts := why.Vertex{ID: v.ID, Name: v.Name, Watermark: eventtime.None}
	for i, sub := range v.Subtasks {
		m := sub.Metrics
		watermark := m.OutputWatermark
		if v.Keyed {
			watermark = m.InputWatermark
		}
		if i == 0 || watermark < facts.Watermark {
			facts.Watermark = watermark
		}
		facts.BusyTime, facts.IdleTime = max(facts.BusyTime, m.BusyPerSecond), max(facts.IdleTime, m.IdlePerSecond)
		facts.Backpressured = max(facts.Backpressured, m.BackpressuredPerSec)
		facts.RecordsIn += m.RecordsInPerSecond
	}
	return facts
}

func splitFacts(s view.Split, counted ledger.Entry) why.Split {
	return why.Split{
		SplitName: why.SplitName{Topic: s.Topic, Partition: s.Partition}, Offset: s.Offset, EndOffset: s.EndOffset,
		State: why.SplitState(s.State), Reason: s.Reason, Watermark: s.Watermark, Idle: s.Idle, Silent: s.SilentMs,
		Lost: counted.Lost, Truncations: counted.Truncations,
	}
}

// windowsShown bounds the open windows that are listed: each subtask reports those that fire next, and no more.
const windowsShown = 5

// windowsOf adds up what the subtasks have of each window. Each subtask may have some that others have not, so that there are at
// least so many open ones.
func windowsOf(vertices []view.Vertex) (windows []why.Window, open int64) {
	byStart := make(map[int64]why.Window)
	for _, v := range vertices {
		for _, sub := range v.Subtasks {
			open = max(open, sub.Metrics.OpenWindows)
			for _, w := range sub.Windows {
				sum := byStart[w.Start]
				byStart[w.Start] = why.Window{Start: w.Start, End: w.End, FiresAt: w.FiresAt, Groups: sum.Groups + w.Groups}
			}
		}
	}
	windows = slices.SortedFunc(maps.Values(byStart), func(a, b why.Window) int {
		return cmp.Or(cmp.Compare(a.FiresAt, b.FiresAt), cmp.Compare(a.Start, b.Start))
	})
	open = max(open, int64(len(windows)))
	return append([]why.Window{}, windows[:min(len(windows), windowsShown)]...), open
}

// recordsOf takes the greater of what a checkpoint counted, which no failure takes back, and what the attempt has counted since
// it began.
func recordsOf(j view.Job) why.Records {
	counted := j.Ledger.Total()
	var now why.Records
	for i, v := range j.Vertices {
		for _, sub := range v.Subtasks {
			m := sub.Metrics
			if i == 0 {
				now.Read += m.RecordsIn
			}
			if i+1 == len(j.Vertices) {
				now.Emitted += m.RowsWritten
			}
			now.Filtered += m.FilteredRecords
			now.Late += m.LateRecords
			now.LateAfterIdle += m.LateAfterIdle
			now.DeadLettered += m.DeadLetteredRecords
			now.Skipped += m.EmptyRecords + m.DroppedRecords
			now.Collapsed += m.CollapsedRecords
			now.Open += m.OpenGroups
			now.IgnoredFields += m.IgnoredFields
			now.Lost += m.LostRecords
		}
	}
	return why.Records{
		Read: max(now.Read, counted.Read), Emitted: max(now.Emitted, counted.Emitted), Filtered: max(now.Filtered, counted.Filtered),
		Late: max(now.Late, counted.Late-now.LateAfterIdle), LateAfterIdle: now.LateAfterIdle, DeadLettered: max(now.DeadLettered, counted.DeadLettered),
		Skipped: max(now.Skipped, counted.Skipped), Collapsed: max(now.Collapsed, counted.Collapsed), Open: now.Open,
		IgnoredFields: now.IgnoredFields, Lost: max(now.Lost, counted.Lost), Truncations: counted.Truncations,
	}
}

func checkpointFacts(c view.Checkpoints) why.Checkpoints {
	facts := why.Checkpoints{
		Interval: c.Config.Interval, Completed: c.Completed, Failed: c.Failed,
		LatestCompleted: checkpointFact(c.LatestCompleted), LatestFailed: checkpointFact(c.LatestFailed),
	}
	if n := len(c.UnderWay); n > 0 {
		facts.UnderWay = checkpointFact(&c.UnderWay[n-1]) // the oldest
	}
	for _, ended := range c.History {
		if ended.Status != view.CheckpointFailed {
			break
		}
		facts.FailedSince++
	}
	return facts
}

func checkpointFact(c *view.Checkpoint) *why.Checkpoint {
	if c == nil {
		return nil
	}
	fact := &why.Checkpoint{ID: c.ID, Began: c.Triggered, Ended: c.Ended, Failure: c.Failure}
	for _, task := range c.Tasks {
		fact.Subtasks += task.Subtasks
		fact.Acked += len(task.Acks)
	}
	return fact
}

func slotsOf(managers []view.TaskManager) why.Slots {
	slots := why.Slots{TaskManagers: len(managers)}
	for _, tm := range managers {
		slots.Total += tm.Slots
		slots.Free += tm.Free
	}
	return slots
}

func outputOf(dir string, files []view.File) why.Output {
	output := why.Output{Path: dir}
	for _, f := range files {
		if f.State != view.FileFinished {
			output.Unpublished += f.Rows
			continue
		}
		output.Files++
		output.Rows += f.Rows
		output.LastPublished = max(output.LastPublished, f.Modified)
	}
	return output
}
