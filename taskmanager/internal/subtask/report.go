package subtask

import (
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/partfile"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// Ref names the attempt.
func (s *Subtask) Ref() *controlv1.SubtaskRef { return s.deploy.GetSubtask() }

// Report says how the attempt is doing.
func (s *Subtask) Report() *controlv1.SubtaskReport {
	r := &controlv1.SubtaskReport{Subtask: s.Ref(), Metrics: s.Metrics()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		r.Splits = splitReports(s.reader.Status(), s.splits, s.host.Now())
	}
	for _, f := range s.files {
		r.OpenFiles = append(r.OpenFiles, WireFile(f))
	}
	for _, o := range s.windows {
		r.OpenWindows = append(r.OpenWindows, &controlv1.OpenWindow{
			StartMs: o.Start, EndMs: o.End, FiresAt: int64(o.FiresAt), Groups: int64(o.Groups),
		})
	}
	if s.troubled != nil {
		trouble, lasts := s.troubled.Trouble()
		r.SinkTrouble, r.SinkTroubleMs = trouble, lasts.Milliseconds()
	}
	return r
}

// Metrics returns the attempt's counters.
func (s *Subtask) Metrics() *controlv1.SubtaskMetrics {
	c := s.counters
	lateLetters, refusedLetters := c.LateDeadLetters.Load(), c.RefusedDeadLetters.Load()
	elapsed := s.host.Now().Sub(s.started).Milliseconds()
	idle, blocked := c.Idle.Total().Milliseconds(), c.Backpressured.Total().Milliseconds()
	return &controlv1.SubtaskMetrics{
		RecordsIn: c.RecordsIn.Load(), RecordsOut: c.RecordsOut.Load(), BytesIn: c.BytesIn.Load(), BytesOut: c.BytesOut.Load(),
		InputWatermark: c.InputWatermark.Load(), OutputWatermark: c.OutputWatermark.Load(),
		BusyMs: max(0, elapsed-idle-blocked), IdleMs: idle, BackpressuredMs: blocked,
		LateRecords: c.Late.Load(), LateAfterIdle: c.LateAfterIdle.Load(), FilteredRecords: c.Filtered.Load(),
		EmptyRecords: c.Empty.Load(), DroppedRecords: c.Dropped.Load(), IgnoredFields: c.IgnoredFields.Load(),
		CollapsedRecords: c.Collapsed.Load(), OpenGroups: c.OpenGroups.Load(), OpenWindows: c.OpenWindows.Load(),
		RowsWritten: c.RowsWritten.Load(), LostRecords: c.Lost.Load(),
		DeadLetteredRecords: c.BadDeadLetters.Load() + lateLetters + refusedLetters, LateDeadLetters: lateLetters,
		RefusedDeadLetters: refusedLetters,
		FilesPublished:     c.FilesPublished.Load(), RowsPublished: c.RowsPublished.Load(),
	}
}

var splitStates = map[kafka.State]controlv1.SplitState{
	kafka.Reading:  controlv1.SplitState_SPLIT_STATE_READING,
	kafka.Waiting:  controlv1.SplitState_SPLIT_STATE_WAITING,
	kafka.Finished: controlv1.SplitState_SPLIT_STATE_FINISHED,
}

func splitReports(statuses []kafka.SplitStatus, views []splitView, now time.Time) []*controlv1.SplitReport {
	var reports []*controlv1.SplitReport
	for i, status := range statuses {
		if i >= len(views) { // added since the loop last looked
			break
		}
		reports = append(reports, &controlv1.SplitReport{
			Topic: status.Topic, Partition: status.Partition, Offset: status.Offset, EndOffset: status.EndOffset,
			State: splitStates[status.State], Reason: status.Reason,
			Watermark: int64(views[i].watermark), Idle: views[i].idle, SilentMs: now.Sub(views[i].lastSeen).Milliseconds(),
		})
	}
	return reports
}

var fileStates = map[partfile.State]controlv1.PartFileState{
	partfile.StateInProgress: controlv1.PartFileState_PART_FILE_STATE_IN_PROGRESS,
	partfile.StatePending:    controlv1.PartFileState_PART_FILE_STATE_PENDING,
	partfile.StateFinished:   controlv1.PartFileState_PART_FILE_STATE_FINISHED,
}

// WireFile says what a part file is.
func WireFile(f partfile.File) *controlv1.PartFile {
	return &controlv1.PartFile{
		Name: f.Name, State: fileStates[f.State], Rows: f.Rows, SizeBytes: f.Bytes, ModifiedMs: f.Modified.UnixMilli(),
	}
}
