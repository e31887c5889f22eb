package plan_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// What Encode writes, Decode reads back as the same job, sensible or not.
func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := drawJob(t)
		text, err := job.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.Decode(text)
		if err != nil {
			t.Fatalf("Decode(%s): %v", text, err)
		}
		if diff := cmp.Diff(job, got); diff != "" {
			t.Fatalf("read back otherwise:\n%s", diff)
		}
	})
}

// Whatever the job, Compile gives a program or says at which paths what is wrong.
func TestCompileAnyJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program, err := plan.Compile(drawJob(t))
		var problems plan.Problems
		switch {
		case err == nil && program == nil:
			t.Fatal("neither a program nor an error")
		case err != nil && (!errors.As(err, &problems) || len(problems) == 0):
			t.Fatalf("error %v, want Problems", err)
		}
		for _, p := range problems {
			if p.Path == "" || p.Message == "" || (p.Line == 0) != (p.Column == 0) {
				t.Fatalf("problem without a place or a message: %#v", p)
			}
		}
	})
}

func drawJob(t *rapid.T) plan.Job {
	duration := rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) })
	job := plan.Job{
		Name:           rapid.String().Draw(t, "name"),
		Parallelism:    rapid.Int().Draw(t, "parallelism"),
		MaxParallelism: rapid.Int().Draw(t, "max parallelism"),
		TimeZone:       rapid.String().Draw(t, "zone"),
		Source:         drawSource(t, duration),
		Compute:        drawNamed(t, "compute"),
		Where:          rapid.String().Draw(t, "where"),
		Select:         drawNamed(t, "select"),
		Checkpoint: plan.Checkpoint{
			Interval: duration.Draw(t, "interval"), MinPause: duration.Draw(t, "pause"), Timeout: duration.Draw(t, "timeout"),
			ToleratedFailures: rapid.Int().Draw(t, "tolerated"), Retained: rapid.Int().Draw(t, "retained"),
		},
		Restart: plan.RestartStrategy{
			Type:     plan.RestartType(rapid.String().Draw(t, "restart")),
			Attempts: rapid.Int().Draw(t, "attempts"), Delay: duration.Draw(t, "restart delay"),
			InitialBackoff: duration.Draw(t, "initial"), MaxBackoff: duration.Draw(t, "max"), ResetAfter: duration.Draw(t, "reset"),
			Multiplier: rapid.Float64().Draw(t, "multiplier"), Jitter: rapid.Float64().Draw(t, "jitter"),
			MaxAttempts: rapid.Int().Draw(t, "max attempts"),
		},
	}
	if rapid.Bool().Draw(t, "window") {
		job.Window = &plan.Window{
			Size: duration.Draw(t, "size"), Offset: duration.Draw(t, "offset"),
			GroupBy: drawTexts(t, "group by"), Aggregates: drawNamed(t, "aggregates"),
			Late: plan.Late(rapid.String().Draw(t, "late")), AllowedLateness: duration.Draw(t, "allowed lateness"),
		}
	}
	if rapid.Bool().Draw(t, "csv") {
		job.Sink.CSV = &plan.CSVSink{
			Path: rapid.String().Draw(t, "path"), Options: drawMap(t, "csv options"),
			RollSize: rapid.Int64().Draw(t, "roll size"), RollInterval: duration.Draw(t, "roll interval"),
		}
	}
	if rapid.Bool().Draw(t, "mongodb") {
		job.Sink.MongoDB = &plan.MongoSink{
			URI: rapid.String().Draw(t, "uri"), Database: rapid.String().Draw(t, "database"), Collection: rapid.String().Draw(t, "collection"),
			Mode: plan.MongoMode(rapid.String().Draw(t, "mode")), ID: rapid.String().Draw(t, "id"), Document: rapid.String().Draw(t, "document"),
			OnError:       plan.OnError(rapid.String().Draw(t, "refused")),
			BulkDocuments: rapid.Int().Draw(t, "bulk"), BulkInterval: duration.Draw(t, "bulk interval"),
		}
	}
	if rapid.Bool().Draw(t, "dead letters") {
		job.DeadLetters = &plan.DeadLetters{}
	}
	if job.DeadLetters != nil && rapid.Bool().Draw(t, "dead letter files") {
		job.DeadLetters.CSV = &plan.DeadLetterFiles{
			Path: rapid.String().Draw(t, "dead path"), RollSize: rapid.Int64().Draw(t, "dead roll size"),
			RollInterval: duration.Draw(t, "dead roll interval"),
		}
	}
	if job.DeadLetters != nil && rapid.Bool().Draw(t, "dead letter topic") {
		job.DeadLetters.Kafka = &plan.DeadLetterTopic{
			Brokers: drawTexts(t, "dead brokers"), Topic: rapid.String().Draw(t, "dead topic"), Properties: drawMap(t, "dead properties"),
		}
	}
	return job
}

func drawSource(t *rapid.T, duration *rapid.Generator[time.Duration]) plan.Source {
	source := plan.Source{
		Format:        rapid.String().Draw(t, "format"),
		FormatOptions: drawMap(t, "format options"),
		OnError:       plan.OnError(rapid.String().Draw(t, "on error")),
	}
	if rapid.Bool().Draw(t, "kafka") {
		source.Kafka = &plan.KafkaSource{
			Brokers: drawTexts(t, "brokers"), Topics: drawTexts(t, "topics"), TopicPattern: rapid.String().Draw(t, "pattern"),
			Group: rapid.String().Draw(t, "group"), Start: plan.StartMode(rapid.String().Draw(t, "start")),
			StartTimestamp: rapid.Int64().Draw(t, "start timestamp"), Bounded: rapid.Bool().Draw(t, "bounded"),
			DiscoveryInterval: duration.Draw(t, "discovery"), Properties: drawMap(t, "properties"),
		}
	}
	if rapid.Bool().Draw(t, "watermark") {
		source.Watermark = &plan.Watermark{
			Column: rapid.String().Draw(t, "time column"), Delay: duration.Draw(t, "delay"), IdleAfter: duration.Draw(t, "idle"),
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "columns") {
		source.Schema = append(source.Schema, sqltype.Column{
			Name: rapid.String().Draw(t, "column"),
			Type: rapid.SampledFrom([]sqltype.Type{
				sqltype.BooleanType, sqltype.BigIntType, sqltype.StringType, sqltype.DecimalType(10, 2), sqltype.TimestampType(3),
				sqltype.TimestampLTZType(0), sqltype.DateType, {Kind: sqltype.Char, Length: 3},
			}).Draw(t, "type").WithNotNull(rapid.Bool().Draw(t, "not null")),
		})
	}
	return source
}

// orNil makes an empty list nil: nothing tells them apart.
func orNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func drawTexts(t *rapid.T, label string) []string {
	return orNil(rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, label))
}

func drawNamed(t *rapid.T, label string) []plan.NamedExpr {
	one := rapid.Custom(func(t *rapid.T) plan.NamedExpr {
		return plan.NamedExpr{Name: rapid.String().Draw(t, "name"), Expr: rapid.String().Draw(t, "expression")}
	})
	return orNil(rapid.SliceOfN(one, 0, 3).Draw(t, label))
}

func drawMap(t *rapid.T, label string) map[string]string {
	m := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, label)
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                   "EOF",
		`{`:                                  "unexpected EOF",
		`{} {}`:                              "after the end",
		`{}]`:                                "after the end",
		`{"Title": "x"}`:                     `unknown field "Title"`,
		`{"Source": {"Kafkaa": {}}}`:         `unknown field "Kafkaa"`,
		`{"Source": {"Schema": [{"X": 1}]}}`: `unknown field "X"`,
		`{"Source": {"Schema": [{"Name": "a", "Type": "INTT"}]}}`: `column "a": unknown type "INTT"`,
		`{"Parallelism": "2"}`: "cannot unmarshal",
	} {
		if _, err := plan.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Decode(%s) = %v, want %q in it", text, err, want)
		}
	}
	if _, err := (plan.Job{Restart: plan.RestartStrategy{Jitter: math.NaN()}}).Encode(); err == nil {
		t.Error("Encode wrote NaN")
	}
}

// A job that was stored before checkpoints had all their settings goes on as it was.
func TestDecodeFillsInSettings(t *testing.T) {
	job, err := plan.Decode([]byte(`{"Name": "old", "Checkpoint": {"Interval": 5000000000}}`))
	want := plan.Checkpoint{Interval: 5 * time.Second, Timeout: 10 * time.Minute, Retained: 1}
	if err != nil || job.Checkpoint != want {
		t.Errorf("%+v, %v, want %+v", job.Checkpoint, err, want)
	}
}
