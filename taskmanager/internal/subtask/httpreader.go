package subtask

import (
	"context"
	"errors"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/http"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kgo"
)

// httpReader reads URLs: a URL's name is the topic, and the number of an item its offset.
type httpReader struct {
	*http.Reader
	splits  []checkpoint.Split // in the order of Add
	fetches []kafka.Fetch      // Poll's result, used again
}

func (s *Subtask) openHTTP(source plan.HTTPSource, splits []checkpoint.Split) (reader, error) {
	config, err := http.NewConfig(source)
	if err != nil {
		return nil, err
	}
	for _, warning := range s.program.Job.Warnings() {
		s.host.Log.Warn("the job allows what is not safe", "job_id", s.self.JobID, "setting", warning.Path, "problem", warning.Text)
	}
	r, err := http.NewReader(config, httpSplits(splits))
	if err != nil {
		r.Close()
		return nil, err
	}
	return &httpReader{Reader: r, splits: splits}, nil
}

func httpSplits(splits []checkpoint.Split) []http.Split {
	all := make([]http.Split, len(splits))
	for i, s := range splits {
		all[i] = http.Split{Name: s.Topic, Partition: s.Partition, Next: s.Next, Position: s.Position, Done: s.Done}
	}
	return all
}

func (r *httpReader) Add(splits []checkpoint.Split) {
	r.splits = append(r.splits, splits...)
	r.Reader.Add(httpSplits(splits)...)
}

// Poll returns items as records. An answer that cannot be used is a *refusedRecordError.
func (r *httpReader) Poll(ctx context.Context) ([]kafka.Fetch, error) {
	fetches, err := r.Reader.Poll(ctx)
	if refused, ok := errors.AsType[*http.RefusedError](err); ok {
		from := r.splits[refused.Split]
		return nil, &refusedRecordError{split: refused.Split, err: refused, record: &kgo.Record{
			Topic: from.Topic, Partition: from.Partition, Value: refused.Body, Offset: refused.Number, Timestamp: refused.Time,
		}}
	}
	r.fetches = r.fetches[:0]
	for _, f := range fetches {
		r.fetches = append(r.fetches, kafka.Fetch{Split: f.Split, Records: recordsOf(f, r.splits[f.Split]), Next: f.Next, HighWatermark: f.Next, Done: f.Done})
	}
	return r.fetches, err
}

func recordsOf(f http.Fetch, from checkpoint.Split) []*kgo.Record {
	records, values := make([]*kgo.Record, len(f.Items)), make([]kgo.Record, len(f.Items))
	for i, item := range f.Items {
		values[i] = kgo.Record{Topic: from.Topic, Partition: from.Partition, Value: item, Offset: f.First + int64(i), Timestamp: f.Time}
		records[i] = &values[i]
	}
	return records
}

// Release does nothing: the garbage collector takes an answer when its last item is done.
func (*httpReader) Release(kafka.Fetch) {}

// Commit does nothing: no server wishes to know.
func (*httpReader) Commit(context.Context, []kafka.Position) error { return nil }

var httpStates = map[http.State]kafka.State{http.Reading: kafka.Reading, http.Waiting: kafka.Waiting, http.Finished: kafka.Finished}

func (r *httpReader) Status() []kafka.SplitStatus {
	statuses := r.Reader.Status()
	all := make([]kafka.SplitStatus, len(statuses))
	for i, s := range statuses {
		all[i] = kafka.SplitStatus{
			Topic: s.Name, Partition: s.Partition, Offset: s.Next, EndOffset: noEnd, State: httpStates[s.State], Reason: s.Reason,
		}
	}
	return all
}

// noEnd is the end of a split of which nobody knows how much there is to read.
const noEnd = -1

// refusedRecordError is a record that is known to be bad before it is decoded.
type refusedRecordError struct {
	split  int
	record *kgo.Record
	err    error
}

func (r *refusedRecordError) Error() string { return r.err.Error() }
