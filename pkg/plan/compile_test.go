package plan_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// reference is the reference job.
func reference() plan.Job {
	keys := []string{"id", "product", "description", "price", "kdv", "price_with_kdv"}
	job := plan.Job{
		Name:           "kdv-2min",
		MaxParallelism: plan.DefaultMaxParallelism,
		TimeZone:       plan.DefaultTimeZone,
		Source: plan.Source{
			Kafka: &plan.KafkaSource{
				Brokers: []string{"localhost:9092"}, Topics: []string{"sahibinden"}, Group: "flink-group-sahibinden",
				Start: plan.StartEarliest, DiscoveryInterval: plan.DefaultDiscoveryInterval,
			},
			Format:  "json",
			OnError: plan.OnErrorFail,
			Schema: sqltype.Schema{
				{Name: "id", Type: sqltype.IntType},
				{Name: "product", Type: sqltype.StringType},
				{Name: "description", Type: sqltype.StringType},
				{Name: "price", Type: sqltype.BigIntType},
				{Name: "kdv", Type: sqltype.DoubleType},
				{Name: "timestamp_column", Type: sqltype.TimestampType(3)},
			},
			Watermark: &plan.Watermark{Column: "timestamp_column", Delay: 5 * time.Second, IdleAfter: 30 * time.Second},
		},
		Compute: []plan.NamedExpr{{Name: "price_with_kdv", Expr: "price * (1 + kdv)"}},
		Window:  &plan.Window{Size: 2 * time.Minute, GroupBy: keys},
		Sink:    plan.Sink{CSV: &plan.CSVSink{Path: "out_data", RollSize: plan.DefaultRollSize, RollInterval: plan.DefaultRollInterval}},
		Checkpoint: plan.Checkpoint{
			Interval: plan.DefaultCheckpointInterval, Timeout: plan.DefaultCheckpointTimeout, Retained: plan.DefaultRetained,
		},
	}
	for _, name := range append(keys, plan.WindowStart) {
		job.Select = append(job.Select, plan.NamedExpr{Name: name, Expr: name})
	}
	job.Restart = plan.DefaultRestart(job.Checkpoint)
	return job
}

// columns prints a row type.
func columns(s sqltype.Schema) []string {
	var all []string
	for _, c := range s {
		all = append(all, c.Name+" "+c.Type.String())
	}
	return all
}

func compile(t *testing.T, job plan.Job) *plan.Program {
	t.Helper()
	program, err := plan.Compile(job)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestReferenceJob(t *testing.T) {
	program := compile(t, reference())
	source := []string{
		"id INT", "product STRING", "description STRING", "price BIGINT", "kdv DOUBLE", "timestamp_column TIMESTAMP(3)",
	}
	rows := append(slices.Clone(source), "price_with_kdv DOUBLE")
	keys := []string{"id INT", "product STRING", "description STRING", "price BIGINT", "kdv DOUBLE", "price_with_kdv DOUBLE"}
	for _, check := range []struct {
		what      string
		got, want []string
	}{
		{"source", columns(program.Source), source},
		{"rows", columns(program.Rows), rows},
		{"window", columns(program.Window.Result), append(slices.Clone(keys), "window_start TIMESTAMP(3) NOT NULL", "window_end TIMESTAMP(3) NOT NULL")},
		{"sink", columns(program.Sink), append(slices.Clone(keys), "window_start TIMESTAMP(3) NOT NULL")},
	} {
		if diff := cmp.Diff(check.want, check.got); diff != "" {
			t.Errorf("%s:\n%s", check.what, diff)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 6}, program.Window.Keys); diff != "" {
		t.Errorf("keys:\n%s", diff)
	}
	if program.TimeColumn != 5 || len(program.Compute) != 1 || len(program.Select) != 7 || program.Where != nil {
		t.Errorf("time column %d, %d computed, %d selected, where %v", program.TimeColumn, len(program.Compute), len(program.Select), program.Where)
	}
}

func TestVertices(t *testing.T) {
	names := func(change func(*plan.Job)) []string {
		job := reference()
		change(&job)
		var all []string
		for _, v := range compile(t, job).Vertices {
			if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(v.ID) {
				t.Errorf("vertex ID %q", v.ID)
			}
			all = append(all, v.Name)
		}
		return all
	}
	for _, check := range []struct {
		got, want []string
	}{
		{names(func(*plan.Job) {}),
			[]string{"Source: sahibinden[1] -> Calc[2]", "GroupWindowAggregate[4] -> Calc[5] -> Sink: csv[6]"}},
		{names(func(j *plan.Job) { j.Select = nil }),
			[]string{"Source: sahibinden[1] -> Calc[2]", "GroupWindowAggregate[4] -> Sink: csv[5]"}},
		{names(func(j *plan.Job) { j.Window, j.Select = nil, nil }),
			[]string{"Source: sahibinden[1] -> Calc[2] -> Sink: csv[3]"}},
		{names(func(j *plan.Job) {
			j.Window, j.Select, j.Compute = nil, nil, nil
			j.Source.Kafka.Topics = []string{"a", "b"}
		}), []string{"Source: a;b[1] -> Sink: csv[2]"}},
	} {
		if diff := cmp.Diff(check.want, check.got); diff != "" {
			t.Error(diff)
		}
	}
}

// State is found by a vertex's ID: it stays when a job is compiled again or changes in what keeps no state.
func TestVertexIDsAreStable(t *testing.T) {
	first := compile(t, reference()).Vertices
	changed := reference()
	changed.Name = "other"
	changed.Where = "price > 0"
	changed.Source.Kafka.Topics = []string{"other"}
	second := compile(t, changed).Vertices
	for i := range first {
		if first[i].ID != second[i].ID {
			t.Errorf("vertex %d: %s became %s", i, first[i].ID, second[i].ID)
		}
	}
	for i, stored := range []string{"473cdbc39be028fea26e711a43fad0d0", "4cfb4194b565a3dcd05b15afa2eef532"} {
		if first[i].ID != stored {
			t.Errorf("vertex %d has ID %s, but state is stored under %s", i, first[i].ID, stored)
		}
	}
	if first[0].ID == first[1].ID || first[0].Keyed || !first[1].Keyed {
		t.Errorf("vertices %+v", first)
	}
}

// The result types are those of the sinks in Flink's own runs of such a job.
func TestAggregateTypes(t *testing.T) {
	job := reference()
	job.Source.Schema = sqltype.Schema{
		{Name: "k", Type: sqltype.StringType},
		{Name: "y", Type: sqltype.TinyIntType},
		{Name: "b", Type: sqltype.BigIntType},
		{Name: "x", Type: sqltype.DoubleType},
		{Name: "f", Type: sqltype.FloatType},
		{Name: "d", Type: sqltype.DecimalType(10, 2)},
		{Name: "e", Type: sqltype.DecimalType(20, 8)},
		{Name: "i", Type: sqltype.IntType.WithNotNull(true)},
		{Name: "timestamp_column", Type: sqltype.TimestampType(3)},
	}
	job.Compute, job.Select = nil, nil
	want := map[string]string{
		"COUNT(*)": "BIGINT NOT NULL", "COUNT(b)": "BIGINT NOT NULL", "count(k)": "BIGINT NOT NULL",
		"SUM(y)": "TINYINT", "SUM(b)": "BIGINT", "SUM(x)": "DOUBLE", "SUM(f)": "FLOAT", "SUM(d)": "DECIMAL(38, 2)", "SUM(i)": "INT NOT NULL",
		"AVG(y)": "TINYINT", "AVG(b)": "BIGINT", "AVG(x)": "DOUBLE", "AVG(f)": "FLOAT", "AVG(d)": "DECIMAL(38, 6)", "AVG(e)": "DECIMAL(38, 8)",
		"MIN(b)": "BIGINT", "MAX(x)": "DOUBLE", "MIN(d)": "DECIMAL(10, 2)", "MAX(k)": "STRING", "MIN(timestamp_column)": "TIMESTAMP(3)",
		"SUM(b * i)": "BIGINT", "SUM(CASE WHEN i > 0 THEN 1 ELSE 0 END)": "INT NOT NULL", "SUM(x * 2)": "DOUBLE",
	}
	job.Window = &plan.Window{Size: time.Minute}
	for call := range want {
		job.Window.Aggregates = append(job.Window.Aggregates, plan.NamedExpr{Name: call, Expr: call})
	}
	program := compile(t, job)
	for i, column := range program.Window.Result[:len(want)] {
		if got := column.Type.String(); got != want[column.Name] {
			t.Errorf("%s is %s, want %s", column.Name, got, want[column.Name])
		}
		if result := program.Window.Aggregates[i].Result; result != column.Type {
			t.Errorf("%s: aggregate %s, column %s", column.Name, result, column.Type)
		}
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Job)
		want   []string // "path: a part of the message"
	}{
		"nothing set": {func(j *plan.Job) { *j = plan.Job{} }, []string{
			"name: needs a name", "max_parallelism: 0 is not between 1 and 32768", `time_zone: unknown time zone ""`, "source.kafka: no source",
			"source.schema: no column", `source.format: unknown format ""`, "sink.csv: no sink",
			"checkpoint.timeout: 0s is too short; the least is 10ms", "checkpoint.retained: 0 is less than one", `restart_strategy.type: unknown restart strategy ""`,
		}},
		"bounds": {func(j *plan.Job) {
			j.Parallelism, j.TimeZone = 129, "Local"
			j.Window.Size, j.Window.Offset = time.Microsecond, time.Nanosecond
			j.Source.Watermark.Delay, j.Source.Watermark.IdleAfter = -time.Second, time.Microsecond
			j.Source.Kafka.DiscoveryInterval = -1
			j.Checkpoint = plan.Checkpoint{Interval: 9 * time.Millisecond, MinPause: -1, Timeout: time.Millisecond, ToleratedFailures: -1}
			j.Sink.CSV.Path, j.Sink.CSV.RollSize, j.Sink.CSV.RollInterval = " ", 0, 0
			j.Restart = plan.RestartStrategy{Type: plan.RestartFixedDelay, Delay: -1}
		}, []string{
			"parallelism: 129 is not between 1 and max_parallelism", `time_zone: unknown time zone "Local"`,
			"source.kafka.discovery_interval: negative", "source.watermark.delay: -1s is negative", "source.watermark.idle_after: 1µs is not a whole number",
			"window.tumble: 1µs is too short; the least is 1ms", "window.offset: not a whole number",
			"sink.csv.path: no name", "sink.csv.roll.size: 0 bytes", "sink.csv.roll.interval: 0s is too short",
			"checkpoint.interval: 9ms is too short; the least is 10ms", "checkpoint.min_pause: negative",
			"checkpoint.timeout: 1ms is too short", "checkpoint.tolerated_failures: -1 is negative", "checkpoint.retained: 0 is less than one",
			"restart_strategy.attempts: 0 is less than one", "restart_strategy.delay: negative",
		}},
		"columns": {func(j *plan.Job) {
			j.Source.Schema = append(j.Source.Schema,
				sqltype.Column{Name: "id", Type: sqltype.IntType}, sqltype.Column{Name: "$hash", Type: sqltype.IntType},
				sqltype.Column{Name: "broken"}, sqltype.Column{Name: "", Type: sqltype.IntType})
			j.Compute = append(j.Compute,
				plan.NamedExpr{Name: "price", Expr: "id"}, plan.NamedExpr{Name: "bad", Expr: "prise + 1"},
				plan.NamedExpr{Name: "fine", Expr: "bad + broken"}, plan.NamedExpr{Name: "days", Expr: "INTERVAL '1' DAY"})
			j.Where = "fine + 1"
			j.Window.GroupBy = append(j.Window.GroupBy, "fine", "pricee", "id", "window_end")
			j.Select = append(j.Select, plan.NamedExpr{Name: "x", Expr: "bad"}, plan.NamedExpr{Name: "id", Expr: "id"})
		}, []string{
			"source.schema.id: already a column id", "source.schema.$hash: reserved", "source.schema.broken: no valid type", "source.schema.: needs a name",
			"compute.price: already a column price", "compute.bad: prise", "compute.days: INTERVAL DAY TO SECOND",
			`window.group_by[7]: unknown column "pricee" (did you mean "price"?)`, "window.group_by[8]: there twice", "window.group_by[9]: grouped by their window",
			"select[7]: column bad is neither", "select[8]: already a column id",
		}},
		"no event time": {func(j *plan.Job) { j.Source.Watermark = nil }, []string{"window: declare source.watermark"}},
		"event time of a wrong type": {func(j *plan.Job) { j.Source.Watermark.Column = "price" },
			[]string{"source.watermark.column: column price is BIGINT, not TIMESTAMP or TIMESTAMP_LTZ; add a column under compute, such as event_time: CAST(price AS TIMESTAMP(3))"}},
		"failure rate": {func(j *plan.Job) { j.Restart = plan.RestartStrategy{Type: plan.RestartFailureRate, Delay: -1} }, []string{
			"restart_strategy.max_failures_per_interval: 0 is less than one", "restart_strategy.failure_rate_interval: 0s is too short", "restart_strategy.delay: negative",
		}},
		"event time too fine": {func(j *plan.Job) { j.Source.Schema[5].Type = sqltype.TimestampLTZType(6) },
			[]string{"source.watermark.column: column timestamp_column is TIMESTAMP_LTZ(6), but event time counts milliseconds"}},
		"event time unknown": {func(j *plan.Job) { j.Source.Watermark.Column = "timestamp" }, []string{`source.watermark.column: unknown column "timestamp"`}},
		"where":              {func(j *plan.Job) { j.Where = "price" }, []string{"where: BIGINT, not BOOLEAN"}},
		"select": {func(j *plan.Job) {
			j.Window.GroupBy = []string{"id"}
			j.Select = []plan.NamedExpr{{Name: "a", Expr: "price + kdv"}, {Name: "b", Expr: "id + nothing"}, {Name: "c", Expr: "timestamp_column"}}
		}, []string{
			"select[0]: column price is neither in window.group_by nor made by window.aggregates", "select[0]: column kdv is neither",
			"select[1]: nothing", "select[2]: column timestamp_column is neither",
		}},
		"aggregates": {func(j *plan.Job) {
			j.Window.Aggregates = []plan.NamedExpr{
				{Name: "id", Expr: "COUNT(*)"}, {Name: "window_start", Expr: "COUNT(*)"}, {Name: "a", Expr: "SUM(product)"}, {Name: "b", Expr: "MEDIAN(price)"},
				{Name: "c", Expr: "COUNT(DISTINCT id)"}, {Name: "d", Expr: "SUM(\n prise)"}, {Name: "e", Expr: "price"}, {Name: "f", Expr: "SUM(*)"},
			}
		}, []string{
			"window.aggregates.id: already a column id", "window.aggregates.window_start: the window's own", "window.aggregates.a: wants a number, not STRING",
			"window.aggregates.b: MEDIAN", "window.aggregates.c: COUNT(DISTINCT …)", "window.aggregates.d:2:2: prise", "window.aggregates.e: ",
			"window.aggregates.f: ",
		}},
		"kafka": {func(j *plan.Job) {
			j.Source.Kafka = &plan.KafkaSource{TopicPattern: "(", Start: "soon", Properties: map[string]string{"bootstrap.servers": "x", "group.id": "y"}}
		}, []string{
			"source.kafka.brokers: no broker", "source.kafka.topic_pattern: missing closing )", `source.kafka.start: unknown start "soon"`,
			"source.kafka.properties.bootstrap.servers: set source.kafka.brokers", "source.kafka.properties.group.id: set source.kafka.group",
		}},
		"options": {func(j *plan.Job) {
			j.Source.FormatOptions = map[string]string{"fail-on-missing-field": "perhaps", "timestamp-format": "SQL"}
			j.Source.OnError = "panic"
			j.Sink.CSV.Options = map[string]string{"field-delimiter": ";;", "line-delimiter": "x", "null-literal": "NULL"}
		}, []string{
			`source.on_error: unknown mode "panic"`, "source.json.fail-on-missing-field: perhaps", "source.json.timestamp-format: unknown",
			"sink.csv.field-delimiter: not one character", "sink.csv.line-delimiter: unknown",
		}},
		"documents": {func(j *plan.Job) {
			j.Source.Document, j.Source.FormatOptions = true, map[string]string{"timestamp-format.standard": "SQL"}
			j.Source.Schema = append(j.Source.Schema, sqltype.Column{Name: "doc", Type: sqltype.JSONType})
			j.Source.Metadata = []plan.MetadataColumn{{Name: "at", Key: "ofset"}, {Name: "id", Key: "offset"}, {Name: "h", Key: "headers."}}
			j.Compute = append(j.Compute, plan.NamedExpr{Name: "uses", Expr: "at + 1"}, plan.NamedExpr{Name: "same", Expr: "doc = doc"})
			j.Window.GroupBy = append(j.Window.GroupBy, "doc")
			j.Window.Aggregates = []plan.NamedExpr{{Name: "n", Expr: "COUNT(doc)"}, {Name: "m", Expr: "MAX(doc)"}}
		}, []string{
			"source.schema: a document is the one column document of type JSON NOT NULL", "source.json.timestamp-format.standard: says nothing about a document",
			`source.metadata.at: unknown metadata "ofset"`, "source.metadata.id: already a column id", `source.metadata.h: unknown metadata "headers."`,
			"compute.same: JSON values cannot be compared", "window.group_by[6]: cannot be grouped by column doc, which is JSON", "window.aggregates.m: MAX cannot order values of type JSON",
		}},
		"raw": {func(j *plan.Job) {
			*j = plan.Job{
				Name: "raw", MaxParallelism: 1, TimeZone: "UTC", Checkpoint: j.Checkpoint, Restart: j.Restart,
				Source: plan.Source{
					Kafka: j.Source.Kafka, Format: plan.FormatRaw, OnError: plan.OnErrorSkip, FormatOptions: map[string]string{"ignore-parse-errors": "false"},
					Schema: sqltype.Schema{{Name: "line", Type: sqltype.StringType}},
				},
				Sink: plan.Sink{Kafka: &plan.KafkaSink{Brokers: []string{"b:1"}, Topic: "t", Format: plan.FormatRaw, Delivery: plan.DeliveryAtLeastOnce}},
			}
			j.Compute = []plan.NamedExpr{{Name: "n", Expr: "1"}}
		}, []string{
			"source.schema.line: BYTES, not STRING", "source.on_error: skip never happens", "source.json.ignore-parse-errors: belongs to the format json",
			"sink.kafka.format: raw writes one column, and the result has 2: line, n",
		}},
		"raw sink": {func(j *plan.Job) {
			j.Select = []plan.NamedExpr{{Name: "price", Expr: "price"}}
			j.Sink = plan.Sink{Kafka: &plan.KafkaSink{Brokers: []string{"b:1"}, Topic: "t", Format: plan.FormatRaw, Delivery: plan.DeliveryAtLeastOnce}}
		}, []string{"sink.kafka.format: raw writes BYTES, STRING or JSON, and column price is BIGINT; select CAST(price AS STRING)"}},
		"backoff": {func(j *plan.Job) {
			j.Restart = plan.RestartStrategy{Type: plan.RestartExponential, InitialBackoff: time.Hour, MaxBackoff: time.Minute, Multiplier: 0.5, Jitter: 2, MaxAttempts: -1}
		}, []string{
			"restart_strategy.reset_backoff_threshold: 0s is too short", "restart_strategy.max_backoff: 1m is shorter than initial_backoff, which is 1h",
			"restart_strategy.backoff_multiplier: 0.5", "restart_strategy.jitter_factor: 2 is not between", "restart_strategy.attempts_before_reset_backoff: -1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			job := reference()
			c.change(&job)
			program, err := plan.Compile(job)
			var problems plan.Problems
			if !errors.As(err, &problems) || program != nil {
				t.Fatalf("Compile = %v, %v, want Problems", program, err)
			}
			if len(problems) != len(c.want) {
				t.Errorf("%d problems, want %d:\n%v", len(problems), len(c.want), err)
			}
			for i := range min(len(problems), len(c.want)) {
				path, part, _ := strings.Cut(c.want[i], ": ")
				if got := problems[i].String(); !strings.HasPrefix(got, path+": ") || !strings.Contains(got, part) {
					t.Errorf("problem %d is %q, want %q", i, got, c.want[i])
				}
			}
		})
	}
}
