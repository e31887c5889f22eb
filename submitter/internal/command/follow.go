package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pencere/submitter/internal/client"
)

const (
	// followEvery is how often a job that is waited for is looked at.
	followEvery = 250 * time.Millisecond
	// plainEvery is how often that is said where a line cannot be written over.
	plainEvery = 10 * time.Second
)

// outcome is how a job that was waited for ended.
type outcome struct {
	Status      string `json:"status"`
	DurationMs  int64  `json:"durationMs"`
	RecordsRead int64  `json:"recordsRead"`
	RowsWritten int64  `json:"rowsWritten"`
	Restarts    int    `json:"restarts"`
	RootCause   string `json:"rootCause,omitempty"`
	Path        string `json:"path,omitempty"` // of the files
}

// err is what a job that did not finish means for the command.
func (o outcome) err() error {
	switch {
	case o.Status == client.Finished:
		return nil
	case o.RootCause != "":
		return fmt.Errorf("job %s: %s", o.Status, o.RootCause)
	default:
		return fmt.Errorf("job %s", o.Status)
	}
}

func (o outcome) String() string {
	took := (time.Duration(o.DurationMs) * time.Millisecond).Round(10 * time.Millisecond)
	return fmt.Sprintf("%s in %s: %s records read, %s rows written to %s", o.Status, took, grouped(o.RecordsRead), grouped(o.RowsWritten), o.Path)
}

// follower follows a job to its end.
type follower struct {
	*app
	cluster *client.Client
	id      string
	said    string    // the state that was printed last, without counts
	saidAt  time.Time // when
	line    bool      // the terminal's line is written on
	rate    rate
}

// follow returns when the job has ended, or ctx; the job does not end with it.
func (f *follower) follow(ctx context.Context) (outcome, error) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	defer f.clear()
	for {
		job, err := f.cluster.Job(ctx, f.id)
		if err != nil {
			return outcome{}, f.stopped(ctx, err)
		}
		files, err := f.cluster.Files(ctx, f.id)
		if err != nil {
			return outcome{}, f.stopped(ctx, err)
		}
		if client.Terminal(job.State) {
			return f.outcome(ctx, job, files)
		}
		f.progress(ctx, job, files)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return outcome{}, f.stopped(ctx, ctx.Err())
		}
	}
}

// stopped says that the job runs on when it is only the following that ends.
func (f *follower) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	f.clear()
	if !f.json {
		f.note("The job runs on. To end it: submitter cancel %s", f.id)
	}
	return ctx.Err()
}

func (f *follower) outcome(ctx context.Context, job client.Job, files client.Files) (outcome, error) {
	end := outcome{
		Status: job.State, DurationMs: job.DurationMs, RecordsRead: recordsRead(job), RowsWritten: rowsWritten(files),
		Restarts: job.Restarts, Path: files.Path,
	}
	if job.State != client.Failed {
		return end, nil
	}
	cause, err := f.cluster.RootCause(ctx, f.id)
	end.RootCause = cause
	return end, err
}

// progress shows how the job is doing: over and over on a line of a terminal, on a new line now and then elsewhere.
func (f *follower) progress(ctx context.Context, job client.Job, files client.Files) {
	if f.json {
		return
	}
	lag, waits := f.lag(ctx)
	state := job.State
	if job.Notice != "" {
		waits = job.Notice
	}
	if waits != "" {
		state += ", " + waits
	}
	read := recordsRead(job)
	line := fmt.Sprintf("%s: read %s records (%s/s), lag %s, %s rows written", state, grouped(read),
		grouped(int64(f.rate.of(read, time.Now()))), lag, grouped(rowsWritten(files)))
	if f.Terminal {
		f.line = true
		fmt.Fprintf(f.Err, "\r\x1b[K%s", line)
		return
	}
	if state != f.said || time.Since(f.saidAt) >= plainEvery {
		f.said, f.saidAt = state, time.Now()
		fmt.Fprintln(f.Err, line)
	}
}

// clear empties the line that progress was written on.
func (f *follower) clear() {
	if f.line {
		fmt.Fprint(f.Err, "\r\x1b[K")
	}
	f.line = false
}

// lag says how many records are not read yet, and why one of the splits waits. It is no reason to stop when it is not known.
func (f *follower) lag(ctx context.Context) (lag, waits string) {
	splits, err := f.cluster.Splits(ctx, f.id)
	if err != nil || len(splits) == 0 {
		return "unknown", ""
	}
	var total int64
	for _, s := range splits {
		if s.Reason != "" && waits == "" {
			waits = fmt.Sprintf("%s-%d waits: %s", s.Topic, s.Partition, s.Reason)
		}
		if s.Lag < 0 {
			return "unknown", waits
		}
		total += s.Lag
	}
	return grouped(total), waits
}

// recordsRead is the number of records that a job's sources have read.
func recordsRead(job client.Job) int64 {
	if len(job.Vertices) == 0 {
		return 0
	}
	return job.Vertices[0].Metrics.ReadRecords
}

// rowsWritten is the number of rows in a job's files, those that are not visible yet too.
func rowsWritten(files client.Files) int64 {
	var rows int64
	for _, f := range files.Files {
		rows += f.Rows
	}
	return rows
}

// rate works out how fast a counter grows, over about a second.
type rate struct {
	since    time.Time
	count    int64
	measured float64
}

func (r *rate) of(count int64, now time.Time) float64 {
	switch elapsed := now.Sub(r.since); {
	case r.since.IsZero() || count < r.count:
		*r = rate{since: now, count: count}
	case elapsed >= time.Second:
		*r = rate{since: now, count: count, measured: float64(count-r.count) / elapsed.Seconds()}
	}
	return r.measured
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
