package operator_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pencere/pkg/arrowpool"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/format/csv"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/operator"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	benchFetch   = 6_000 // records of a fetch, as a broker's answer of 1 MiB holds
	benchFetches = 40
)

const benchSource = `
name: bench
source:
  kafka: {brokers: "localhost:9092", topic: listings}
  schema: {id: INT, product: STRING, description: STRING, price: BIGINT, kdv: DOUBLE, timestamp_column: TIMESTAMP(3)}
  watermark: {column: timestamp_column, delay: 5s}
compute: {price_with_kdv: price * (1 + kdv)}
sink: {csv: {path: out}}
`

const benchDocuments = `
name: bench
source:
  kafka: {brokers: "localhost:9092", topic: listings}
  schema: document
sink: {csv: {path: out}}
`

// BenchmarkChain runs whole chains, from records in memory to part files, on one goroutine: decode, compute, and with a window
// hash, group, fire; then encode and write. An operation is 240,000 records over four windows, every fifth record a repetition.
// Files are made durable, so ns/row goes by the disk; cpu-ns/row does not.
func BenchmarkChain(b *testing.B) {
	fetches := benchRecords()
	for _, job := range []struct{ name, spec string }{
		{"passthrough", benchSource + "select: [id, product, description, price, kdv, price_with_kdv, timestamp_column]"},
		{"reference", benchSource + "window: {tumble: 2m, group_by: [id, product, description, price, kdv, price_with_kdv]}\n" +
			"select: [id, product, description, price, kdv, price_with_kdv, window_start]"},
		{"aggregates", benchSource + "window: {tumble: 2m, group_by: [product], aggregates: {n: COUNT(*), total: SUM(price), mean: AVG(price_with_kdv)}}"},
		{"document", benchDocuments},
		{"paths", benchDocuments + "select: [\"JSON_VALUE(document, '$.id' RETURNING INT) AS id\", \"JSON_VALUE(document, '$.product') AS product\", \"JSON_VALUE(document, '$.kdv' RETURNING DOUBLE) AS kdv\"]"},
	} {
		b.Run(job.name, func(b *testing.B) {
			program := benchProgram(b, job.spec)
			dir, alloc := b.TempDir(), arrowpool.New(32<<20)
			b.ReportAllocs()
			rows, used := 0, time.Duration(0)
			for b.Loop() {
				before := cpuTime(b)
				benchJob(b, program, dir, alloc, fetches)
				used += cpuTime(b) - before
				rows += benchFetch * benchFetches
				b.StopTimer()
				if err := os.RemoveAll(dir); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
			b.ReportMetric(float64(used.Nanoseconds())/float64(rows), "cpu-ns/row")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchProgram(b *testing.B, spec string) *plan.Program {
	b.Helper()
	job, err := jobspec.Parse("bench.yaml", []byte(spec), func(string) (string, bool) { return "", false })
	if err != nil {
		b.Fatal(err)
	}
	program, err := plan.Compile(job)
	if err != nil {
		b.Fatal(err)
	}
	return program
}

// benchRecords makes records of 150 bytes.
func benchRecords() [][]*kgo.Record {
	fetches := make([][]*kgo.Record, benchFetches)
	begin := time.Date(2025, time.March, 4, 12, 0, 0, 0, time.UTC)
	for i := range benchFetch * benchFetches {
		id := i
		if i%5 == 4 {
			id -= 3 // the last but two, which no window's edge parts from it
		}
		at := begin.Add(time.Duration(i) * 8 * time.Minute / (benchFetch * benchFetches))
		value := fmt.Appendf(nil, `{"id":%d,"product":"Televizyon %d","price":%d,"kdv":0.%d,"timestamp_column":%q,"description":"%s`,
			id, id%50, 1000+id*7919%900_000, 10+id%11, at.Format(time.DateTime), "ikinci el, temiz, kutusu ve faturasi duruyor")
		f := i / benchFetch
		fetches[f] = append(fetches[f], &kgo.Record{Topic: "listings", Offset: int64(i), Value: append(value[:148], `"}`...)})
	}
	return fetches
}

// straight is an edge without a wait: the downstream works while its upstream sends.
type straight struct{ window *operator.Window }

func (s straight) Send(ctx context.Context, e exchange.Element) error {
	_, err := s.window.Element(ctx, 0, e)
	return err
}

func (straight) Close() {}

// benchJob runs the program over the records, with its files in dir.
func benchJob(b *testing.B, program *plan.Program, dir string, alloc memory.Allocator, fetches [][]*kgo.Record) {
	b.Helper()
	ctx, counters := context.Background(), operator.NewCounters()
	encoder, err := csv.NewEncoder(program.Sink, csv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	writer, err := partfile.New(partfile.Config{Dir: filepath.Join(dir, "out"), Job: "bench", Extension: ".csv"}, encoder)
	if err != nil {
		b.Fatal(err)
	}
	var out operator.Output = operator.NewSink(program, writer, counters, alloc, func([]partfile.File) {})
	if program.Window != nil {
		window, err := operator.NewWindow(program, 1, out.(*operator.Sink), counters, alloc, 0)
		if err != nil {
			b.Fatal(err)
		}
		out = operator.NewKeyed(program, []exchange.Sender{straight{window}}, counters, alloc)
	}
	source, err := operator.NewSource(program, out, counters, alloc)
	if err != nil {
		b.Fatal(err)
	}
	source.AddSplit(checkpoint.Split{Topic: "listings", Newest: math.MinInt64})
	for _, records := range fetches {
		if err := source.Records(ctx, 0, records); err != nil {
			b.Fatal(err)
		}
		if err := out.Watermark(ctx, source.Watermark(0)); err != nil {
			b.Fatal(err)
		}
	}
	if err := out.End(ctx); err != nil {
		b.Fatal(err)
	}
	if counters.RowsWritten.Load() == 0 {
		b.Fatal("nothing was written")
	}
	if err := writer.Close(); err != nil {
		b.Fatal(err)
	}
}
