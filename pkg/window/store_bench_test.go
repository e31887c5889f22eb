package window_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/arrowpool"
	"pencere/pkg/eventtime"
	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// reference is the shape of the reference job: distinct rows of six columns in windows of two minutes.
var reference = window.Config{
	Keys: sqltype.Schema{
		{Name: "id", Type: sqltype.IntType},
		{Name: "product", Type: sqltype.StringType},
		{Name: "description", Type: sqltype.StringType},
		{Name: "price", Type: sqltype.BigIntType},
		{Name: "kdv", Type: sqltype.DoubleType},
		{Name: "price_with_kdv", Type: sqltype.DoubleType},
	},
	Window: window.Tumbling{Size: 120_000},
}

var (
	products     = []string{"Televizyon", "Bisiklet", "Buzdolabı", "Cep Telefonu", "Kamera", "Koltuk"}
	descriptions = []string{"ikinci el LG OLED TV", "az kullanılmış dağ bisikleti", "kutusunda, faturalı", "temiz", "sahibinden acil satılık"}
)

// referenceBatch makes benchRows rows of the first window with the ids from first on, a batch as it comes from the exchange.
func referenceBatch(first int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, reference.Input().Arrow())
	defer b.Release()
	for id := first; id < first+benchRows; id++ {
		price := int64(1000 + id*37%90_000)
		b.Field(0).(*array.Int32Builder).Append(int32(id))
		b.Field(1).(*array.StringBuilder).Append(products[id%len(products)])
		b.Field(2).(*array.StringBuilder).Append(descriptions[id%len(descriptions)])
		b.Field(3).(*array.Int64Builder).Append(price)
		b.Field(4).(*array.Float64Builder).Append(0.18)
		b.Field(5).(*array.Float64Builder).Append(float64(price) * 1.18)
		b.Field(6).(*array.Int64Builder).Append(0)
		b.Field(7).(*array.Int64Builder).Append(0)
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	return hashed(batch, reference)
}

// hashed returns batch with its last column set to the hashes of its keys.
func hashed(batch arrow.RecordBatch, config window.Config) arrow.RecordBatch {
	var keys rowkey.Keys
	places := make([]int, len(config.Keys))
	for i := range places {
		places[i] = i
	}
	rowkey.New(config.Keys).Encode(&keys, batch, places)
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for _, h := range keys.Hashes(nil) {
		b.Append(int64(h))
	}
	hashes := b.NewInt64Array()
	defer hashes.Release()
	result, err := batch.SetColumn(int(batch.NumCols())-1, hashes)
	if err != nil {
		panic(err)
	}
	return result
}

const benchRows = 4096

func benchBatches(groups int) []arrow.RecordBatch {
	var batches []arrow.RecordBatch
	for first := 0; first < groups; first += benchRows {
		batches = append(batches, referenceBatch(first))
	}
	return batches
}

func mustStore(tb testing.TB, config window.Config) *window.Store {
	tb.Helper()
	s, err := window.NewStore(config)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func mustAdd(tb testing.TB, s *window.Store, batch arrow.RecordBatch) window.Added {
	added, err := s.Add(0, batch)
	if err != nil {
		tb.Fatal(err)
	}
	return added
}

func discard(batch arrow.RecordBatch) error {
	batch.Release()
	return nil
}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
}

func BenchmarkEncodeHash(b *testing.B) {
	batch := referenceBatch(0)
	codec := rowkey.New(reference.Keys)
	columns := []int{0, 1, 2, 3, 4, 5}
	var keys rowkey.Keys
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			codec.Encode(&keys, batch, columns)
		}
		perRow(b, benchRows)
	})
	b.Run("hash", func(b *testing.B) {
		codec.Encode(&keys, batch, columns)
		var hashes []uint64
		for b.Loop() {
			hashes = keys.Hashes(hashes[:0])
		}
		perRow(b, benchRows)
	})
}

func BenchmarkAssign(b *testing.B) {
	for _, zone := range []string{"", "America/New_York"} {
		b.Run("zone="+zone, func(b *testing.B) {
			w := window.Tumbling{Size: 120_000}
			if zone != "" {
				w.Zone = mustZone(b, zone)
			}
			times := array.NewDecimal128Builder(memory.DefaultAllocator, sqltype.TimestampType(3).Arrow().(*arrow.Decimal128Type))
			random := rand.New(rand.NewPCG(1, 2))
			for i := range int64(benchRows) {
				times.Append(sqltype.TimestampValue(1_741_089_349_000+i*50-random.Int64N(5000), 0))
			}
			column := times.NewDecimal128Array()
			assigner := window.NewAssigner(w)
			var assigned window.Assigned
			split := eventtime.NewGenerator(5000)
			for b.Loop() {
				assigned.Reset()
				assigner.Assign(&assigned, column, split)
			}
			perRow(b, benchRows)
		})
	}
}

// BenchmarkAdd adds rows to a window of 1.2 million groups: as new ones, in the memory of the window before, and once more.
func BenchmarkAdd(b *testing.B) {
	const groups = 1_200_000 / benchRows * benchRows
	batches := benchBatches(groups)
	b.Run("new", func(b *testing.B) {
		s := mustStore(b, reference)
		start := int64(0)
		for b.Loop() {
			b.StopTimer()
			if err := s.Fire(eventtime.Watermark(start), discard); err != nil {
				b.Fatal(err)
			}
			start += reference.Window.Size
			moved := inWindow(batches, start)
			b.StartTimer()
			for _, batch := range moved {
				mustAdd(b, s, batch)
			}
		}
		perRow(b, groups)
	})
	b.Run("repeat", func(b *testing.B) {
		s := mustStore(b, reference)
		for _, batch := range batches {
			mustAdd(b, s, batch)
		}
		for b.Loop() {
			for _, batch := range batches {
				mustAdd(b, s, batch)
			}
		}
		perRow(b, groups)
	})
}

// inWindow returns reference batches with all their rows in the window that begins at start.
func inWindow(batches []arrow.RecordBatch, start int64) []arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for range benchRows {
		b.Append(start)
	}
	starts := b.NewInt64Array()
	moved := make([]arrow.RecordBatch, len(batches))
	for i, batch := range batches {
		columns := append([]arrow.Array{}, batch.Columns()...)
		columns[6] = starts
		moved[i] = array.NewRecordBatch(batch.Schema(), columns, batch.NumRows())
	}
	return moved
}

func BenchmarkFire(b *testing.B) {
	const groups = 100 * benchRows
	batches := benchBatches(groups)
	for _, config := range []window.Config{reference, withAggregates(reference)} {
		config.Alloc = arrowpool.New(64 << 20)
		b.Run(fmt.Sprintf("aggregates=%d", len(config.Aggregates)), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := mustStore(b, config)
				for _, batch := range batches {
					mustAdd(b, s, withArguments(batch, config))
				}
				b.StartTimer()
				if err := s.Fire(eventtime.End, discard); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, groups)
		})
	}
}

func withAggregates(config window.Config) window.Config {
	config.Aggregates = []window.AggregateSpec{
		{Name: "n", Func: window.Count},
		{Name: "total", Func: window.Sum, Arg: sqltype.BigIntType},
		{Name: "mean", Func: window.Avg, Arg: sqltype.DoubleType},
	}
	return config
}

// withArguments puts the price and kdv columns of a reference batch where the aggregates of withAggregates want them.
func withArguments(batch arrow.RecordBatch, config window.Config) arrow.RecordBatch {
	if len(config.Aggregates) == 0 {
		return batch
	}
	c := batch.Columns()
	columns := append(append([]arrow.Array{}, c[:6]...), c[3], c[4], c[6], c[7])
	return array.NewRecordBatch(config.Input().Arrow(), columns, batch.NumRows())
}

// TestMemory holds 1.2 million groups of the reference job to what a taskmanager may use for them.
func TestMemory(t *testing.T) {
	const groups = 1_200_000 / benchRows * benchRows
	const limit = 160 << 20
	s := mustStore(t, reference)
	before := heap()
	for first := 0; first < groups; first += benchRows {
		batch := referenceBatch(first)
		mustAdd(t, s, batch)
		batch.Release()
	}
	used := heap() - before
	open := s.OpenWindows()
	t.Logf("%d groups: %.1f MiB of heap, %.1f bytes a group; the store says %.1f MiB", groups,
		float64(used)/(1<<20), float64(used)/groups, float64(open[0].Bytes)/(1<<20))
	if open[0].Groups != groups || used > limit {
		t.Errorf("%d groups take %d bytes, want at most %d", open[0].Groups, used, limit)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
