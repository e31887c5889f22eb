package why_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/why"
	"pencere/pkg/eventtime"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// number draws what a broken or clever cluster could report.
func number() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 1e6), rapid.Just(int64(-1)), rapid.Just(int64(math.MinInt64)), rapid.Just(int64(math.MaxInt64)), rapid.Int64())
}

func message() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-zğ\n]*`), rapid.Just(strings.Repeat("ğa", 1000)))
}

func anySplit() *rapid.Generator[why.Split] {
	return rapid.Custom(func(t *rapid.T) why.Split {
		return why.Split{
			SplitName: why.SplitName{Topic: rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition")},
			Offset:    number().Draw(t, "offset"), EndOffset: number().Draw(t, "end"),
			State:     rapid.SampledFrom([]why.SplitState{why.SplitReading, why.SplitWaiting, why.SplitFinished, ""}).Draw(t, "state"),
			Watermark: eventtime.Watermark(number().Draw(t, "watermark")), Idle: rapid.Bool().Draw(t, "idle"), Silent: number().Draw(t, "silent"),
		}
	})
}

func anyFacts() *rapid.Generator[why.Facts] {
	return rapid.Custom(func(t *rapid.T) why.Facts {
		f := why.Facts{
			Now: number().Draw(t, "now"), Status: rapid.SampledFrom(append(slices.Clone(jobfsm.Statuses), "")).Draw(t, "status"),
			StatusSince: number().Draw(t, "since"), Notice: rapid.SampledFrom([]string{"", "waiting for slots"}).Draw(t, "notice"),
			Parallelism: rapid.IntRange(0, 4).Draw(t, "parallelism"), Running: rapid.Bool().Draw(t, "running"),
			Restarts: rapid.IntRange(0, 3).Draw(t, "restarts"), Imbalance: rapid.SampledFrom([]string{"", "1 is missing"}).Draw(t, "imbalance"),
			Source: why.Source{
				Topics: rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}}).Draw(t, "topics"), Start: rapid.SampledFrom([]string{"earliest", "latest"}).Draw(t, "start"),
				Delay: number().Draw(t, "delay"), IdleAfter: number().Draw(t, "idle after"), Zoned: rapid.Bool().Draw(t, "zoned"), Partitions: rapid.IntRange(0, 3).Draw(t, "partitions"),
			},
			WindowSize: rapid.SampledFrom([]int64{0, 120_000}).Draw(t, "size"), OpenWindows: number().Draw(t, "open"),
			Splits: rapid.SliceOfN(anySplit(), 0, 6).Draw(t, "splits"),
			Records: why.Records{
				Read: number().Draw(t, "read"), Emitted: number().Draw(t, "emitted"), Filtered: number().Draw(t, "filtered"), Late: number().Draw(t, "late"),
				LateAfterIdle: number().Draw(t, "after idle"), DeadLettered: number().Draw(t, "dead"), Skipped: number().Draw(t, "skipped"),
				Lost: number().Draw(t, "lost"), Truncations: number().Draw(t, "truncations"),
			},
			Checkpoints: why.Checkpoints{FailedSince: rapid.IntRange(0, 2).Draw(t, "failed"), Interval: number().Draw(t, "interval")},
			Output:      why.Output{Rows: number().Draw(t, "rows"), Unpublished: number().Draw(t, "unpublished"), LastPublished: number().Draw(t, "published")},
		}
		for range rapid.IntRange(0, 3).Draw(t, "vertices") {
			f.Vertices = append(f.Vertices, why.Vertex{ID: "v", Name: "V", Backpressured: rapid.Float64().Draw(t, "blocked"), RecordsIn: rapid.Float64().Draw(t, "rate")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "windows") {
			f.Windows = append(f.Windows, why.Window{Start: number().Draw(t, "start"), End: number().Draw(t, "end"), FiresAt: eventtime.Watermark(number().Draw(t, "fires"))})
		}
		if rapid.Bool().Draw(t, "failure") {
			f.Failure = &why.Failure{Time: number().Draw(t, "failed at"), Message: message().Draw(t, "message")}
		}
		if rapid.Bool().Draw(t, "latest failed") {
			f.Checkpoints.LatestFailed = &why.Checkpoint{Ended: number().Draw(t, "ended"), Failure: message().Draw(t, "why")}
		}
		if rapid.Bool().Draw(t, "under way") {
			f.Checkpoints.UnderWay = &why.Checkpoint{Began: number().Draw(t, "began")}
		}
		return f
	})
}

var ranks = map[why.Severity]int{why.Problem: 1, why.Waiting: 2, why.OK: 3, why.Note: 4}

// Whatever is reported, there is an answer: the worst first, the same each time, whole sentences.
func TestAlwaysAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := anyFacts().Draw(t, "facts")
		findings := why.Explain(facts.Complete())
		if len(findings) == 0 || findings[0].Severity == why.Note {
			t.Fatalf("no answer: %v", findings)
		}
		for i, f := range findings {
			if i > 0 && ranks[f.Severity] < ranks[findings[i-1].Severity] || ranks[f.Severity] == 0 {
				t.Errorf("%v is behind %v", f, findings[max(0, i-1)])
			}
			if f.Sentence == "" || f.Kind == "" || !utf8.ValidString(f.Sentence) || strings.Contains(f.Sentence, "%!") || strings.ContainsRune(f.Sentence, '\n') {
				t.Errorf("not a sentence: %+v", f)
			}
			if f.Kind == why.NothingWrong && i > 0 {
				t.Errorf("nothing is wrong behind %v", findings[0])
			}
		}
		if diff := cmp.Diff(findings, why.Explain(facts.Complete())); diff != "" {
			t.Errorf("another answer the second time:\n%s", diff)
		}
	})
}

// The order of partitions in a report does not matter to what is found.
func TestOrderOfSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := anyFacts().Draw(t, "facts")
		kinds := func(f why.Facts) (all []why.Kind) {
			for _, finding := range why.Explain(f) {
				all = append(all, finding.Kind)
			}
			return all
		}
		before := kinds(facts)
		facts.Splits = rapid.Permutation(facts.Splits).Draw(t, "another order")
		if diff := cmp.Diff(before, kinds(facts)); diff != "" {
			t.Errorf("findings differ:\n%s", diff)
		}
	})
}

// Of a job whose partitions all get records, at most a window's end apart, and whose rows are published, nothing is wrong.
func TestNormal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := running()
		f.Source.IdleAfter = rapid.SampledFrom([]int64{0, 30_000}).Draw(t, "idle after")
		for i := range rapid.IntRange(1, 5).Draw(t, "partitions") {
			offset := rapid.Int64Range(1, 1e6).Draw(t, "offset")
			f.Splits = append(f.Splits, why.Split{
				SplitName: why.SplitName{Topic: "listings", Partition: int32(i)}, State: why.SplitReading, Offset: offset,
				EndOffset: offset + rapid.Int64Range(0, 100).Draw(t, "lag"), Silent: rapid.Int64Range(0, 9_000).Draw(t, "silent"),
				Watermark: eventtime.Watermark(now - rapid.Int64Range(1, 119_000).Draw(t, "behind")),
			})
		}
		f.Source.Partitions = len(f.Splits)
		groups := rapid.Int64Range(1, 1000).Draw(t, "groups")
		f.Windows = []why.Window{{Start: now - 120_000, End: now, FiresAt: eventtime.Watermark(now - 1), Groups: groups}}
		f.OpenWindows = 1
		emitted := rapid.Int64Range(1, 1e6).Draw(t, "emitted")
		late := rapid.Int64Range(0, emitted/2).Draw(t, "late")
		f.Records = why.Records{Read: emitted + late + groups, Emitted: emitted, Late: late, Open: groups}
		f.Output = why.Output{Path: "out", Files: 3, Rows: emitted, LastPublished: now - rapid.Int64Range(0, 120_000).Draw(t, "published")}
		if rapid.Bool().Draw(t, "restarted long ago") {
			f.Restarts, f.Failure = 1, &why.Failure{Time: now - 3_600_000, Message: "gone"}
		}
		if findings := why.Explain(f); findings[0].Kind != why.NothingWrong {
			t.Fatalf("not normal: %+v", findings[0])
		}
	})
}
