package why_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/why"
	"pencere/pkg/eventtime"

	"github.com/cockroachdb/datadriven"
)

// TestScripts explains the situations in testdata/scripts. Each begins as a job that runs and has read nothing; a line of the input
// changes that: the name of what it is about and key=value pairs. Clock times are of 2025-03-04, where now is 12:00:00.
//
//	split 3 offset=10 end=20 wm=11:55:00 silent=40s [idle] [state=waiting reason=why] [topic=t] [lost=2] [truncations=1]
//	window 11:54:00 groups=12                a window of two minutes
//	vertex 0 backpressured=800 busy=100 in=50  the source is 0, the window 1
//	records read=9 late=3 …                  by the facts' names
//	job status=RUNNING since=10s parallelism=0 running=false restarts=2 notice=text where=text imbalance=text passthrough
//	source topics=a,b pattern=p start=latest bounded=true onerror=skip delay=5s idle_after=30s zoned=true partitions=0 http=1m
//	slots taskmanagers=1 total=2 free=0
//	failure ago=20s task=name message=text
//	checkpoint completed|failed|underway id=3 ago=5s [failure=text] [since=2] [acked=1]
//	output files=2 rows=10 unpublished=4 ago=3s
//
// A word's _ is a space.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			facts := situation(t, d.Input)
			if d.Cmd == "missing" {
				var b strings.Builder
				for _, s := range facts.Complete().Splits {
					if s.Missing != nil {
						fmt.Fprintf(&b, "%s-%d %s\n", s.Topic, s.Partition, time.UnixMilli(*s.Missing).UTC().Format("15:04:05.000"))
					}
				}
				return b.String()
			}
			var b strings.Builder
			for _, f := range why.Explain(facts) {
				fmt.Fprintf(&b, "%s %s: %s\n", f.Severity, f.Kind, f.Sentence)
				if f.Remedy != "" {
					fmt.Fprintf(&b, "  → %s\n", f.Remedy)
				}
			}
			return b.String()
		})
	})
}

var now = time.Date(2025, time.March, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

// running is a job with a window that runs and has read nothing.
func running() why.Facts {
	return why.Facts{
		Now: now, Status: jobfsm.Running, StatusSince: now - 60_000, Parallelism: 1, Running: true,
		Slots:  why.Slots{TaskManagers: 1, Total: 2, Free: 1},
		Source: why.Source{Topics: []string{"listings"}, Start: "earliest", OnError: "fail", TimeColumn: "ts", Delay: 5000},
		Where:  "price > 100", WindowSize: 120_000, Checkpoints: why.Checkpoints{Interval: 10_000},
		Vertices: []why.Vertex{
			{ID: "cbc357ccb763df2852fee8c4fc7d55f2", Name: "Source: listings", Watermark: eventtime.None, RecordsIn: 100},
			{ID: "90bea66de1c231edf33913ecd54406c1", Name: "Window", Watermark: eventtime.None},
		},
		Output: why.Output{Path: "out"},
	}
}

// words are a line's key=value pairs; a word alone has "true".
type words struct {
	t    *testing.T
	line string
	by   map[string]string
}

func (w words) text(key string) string { return strings.ReplaceAll(w.by[key], "_", " ") }
func (w words) number(key string) int64 {
	if w.by[key] == "" {
		return 0
	}
	n, err := strconv.ParseInt(w.by[key], 10, 64)
	if err != nil {
		w.t.Fatalf("%s: %v", w.line, err)
	}
	return n
}

func (w words) ms(key string) int64 {
	if w.by[key] == "" {
		return 0
	}
	d, err := time.ParseDuration(w.by[key])
	if err != nil {
		w.t.Fatalf("%s: %v", w.line, err)
	}
	return d.Milliseconds()
}

func (w words) clock(text string) int64 {
	layout, day := "2006-01-02 15:04:05", "2025-03-04 "
	if strings.Contains(text, "_") {
		text, day = strings.ReplaceAll(text, "_", " "), ""
	}
	at, err := time.Parse(layout, day+text)
	if err != nil {
		w.t.Fatalf("%s: %v", w.line, err)
	}
	return at.UnixMilli()
}

func situation(t *testing.T, input string) why.Facts {
	t.Helper()
	f, partitions := running(), -1
	for line := range strings.Lines(input) {
		fields := strings.Fields(line)
		w := words{t, line, make(map[string]string)}
		for _, field := range fields[1:] {
			key, value, ok := strings.Cut(field, "=")
			if !ok {
				value = "true"
			}
			w.by[key] = value
		}
		apply(&f, w, fields)
		if w.by["partitions"] != "" {
			partitions = int(w.number("partitions"))
		}
	}
	f.Source.Partitions = len(f.Splits)
	if partitions >= 0 {
		f.Source.Partitions = partitions
	}
	f.OpenWindows = int64(len(f.Windows))
	return f
}

func apply(f *why.Facts, w words, fields []string) {
	switch fields[0] {
	case "split":
		f.Splits = append(f.Splits, w.split(fields[1]))
	case "window":
		start := w.clock(fields[1])
		f.Windows = append(f.Windows, why.Window{Start: start, End: start + 120_000, FiresAt: eventtime.Watermark(start + 119_999), Groups: w.number("groups")})
	case "vertex":
		v := &f.Vertices[w.clamp(fields[1])]
		v.Backpressured, v.BusyTime, v.RecordsIn = float64(w.number("backpressured")), float64(w.number("busy")), float64(w.number("in"))
	case "records":
		w.merge(&f.Records)
	case "job":
		w.job(f)
	case "source":
		w.source(&f.Source)
	case "sink":
		f.Sink = why.Sink{Kind: why.SinkKind(fields[1]), Name: w.text("name"), Trouble: w.text("trouble"), TroubleFor: w.ms("for")}
	case "slots":
		f.Slots = why.Slots{TaskManagers: int(w.number("taskmanagers")), Total: int(w.number("total")), Free: int(w.number("free"))}
	case "failure":
		f.Failure = &why.Failure{Time: now - w.ms("ago"), Task: w.text("task"), Message: w.text("message")}
	case "checkpoint":
		w.checkpoint(&f.Checkpoints, fields[1])
	case "output":
		f.Output = why.Output{Path: "out", Files: int(w.number("files")), Rows: w.number("rows"), Unpublished: w.number("unpublished"), LastPublished: now - w.ms("ago")}
	default:
		w.t.Fatalf("%s: what is that?", w.line)
	}
}

func (w words) clamp(text string) int {
	if text == "0" {
		return 0
	}
	return 1
}

func (w words) split(partition string) why.Split {
	w.by["partition"] = partition
	s := why.Split{
		SplitName: why.SplitName{Topic: "listings", Partition: int32(w.number("partition"))}, State: why.SplitReading,
		Offset: w.number("offset"), EndOffset: w.number("end"), Watermark: eventtime.None, Silent: w.ms("silent"),
		Idle: w.by["idle"] != "", Reason: w.text("reason"), Lost: w.number("lost"), Truncations: w.number("truncations"),
	}
	if w.by["wm"] != "" {
		s.Watermark = eventtime.Watermark(w.clock(w.by["wm"]))
	}
	if w.by["state"] != "" {
		s.State = why.SplitState(w.by["state"])
	}
	if w.by["topic"] != "" {
		s.Topic = w.by["topic"]
	}
	return s
}

// merge sets the fields of a struct by their JSON names.
func (w words) merge(into any) {
	numbers := make(map[string]int64)
	for key := range w.by {
		numbers[key] = w.number(key)
	}
	text, err := json.Marshal(numbers)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		w.t.Fatalf("%s: %v", w.line, err)
	}
}

func (w words) job(f *why.Facts) {
	for key, value := range w.by {
		switch key {
		case "status":
			f.Status = jobfsm.Status(value)
		case "since":
			f.StatusSince = now - w.ms(key)
		case "parallelism":
			f.Parallelism = int(w.number(key))
		case "running":
			f.Running = value == "true"
		case "restarts":
			f.Restarts = int(w.number(key))
		case "notice":
			f.Notice = w.text(key)
		case "where":
			f.Where = w.text(key)
		case "imbalance":
			f.Imbalance = w.text(key)
		case "passthrough":
			f.WindowSize, f.Vertices = 0, f.Vertices[:1]
		case "interval":
			f.Checkpoints.Interval = w.ms(key)
		default:
			w.t.Fatalf("%s: what is %s?", w.line, key)
		}
	}
}

func (w words) source(s *why.Source) {
	for key, value := range w.by {
		switch key {
		case "topics":
			s.Topics = strings.Split(value, ",")
		case "pattern":
			s.Pattern, s.Topics = value, nil
		case "start":
			s.Start = value
		case "bounded":
			s.Bounded = value == "true"
		case "onerror":
			s.OnError = value
		case "delay":
			s.Delay = w.ms(key)
		case "idle_after":
			s.IdleAfter = w.ms(key)
		case "zoned":
			s.Zoned = value == "true"
		case "http":
			s.HTTP, s.Interval = true, w.ms(key)
		case "partitions":
		default:
			w.t.Fatalf("%s: what is %s?", w.line, key)
		}
	}
}

func (w words) checkpoint(c *why.Checkpoints, kind string) {
	checkpoint := &why.Checkpoint{ID: uint64(w.number("id")), Subtasks: 2, Acked: int(w.number("acked"))}
	switch kind {
	case "completed":
		checkpoint.Ended = now - w.ms("ago")
		c.LatestCompleted = checkpoint
		c.Completed++
	case "failed":
		checkpoint.Ended, checkpoint.Failure = now-w.ms("ago"), w.text("failure")
		c.LatestFailed, c.FailedSince = checkpoint, int(w.number("since"))
		c.Failed++
	case "underway":
		checkpoint.Began = now - w.ms("ago")
		c.UnderWay = checkpoint
	default:
		w.t.Fatalf("%s: what is that?", w.line)
	}
}
