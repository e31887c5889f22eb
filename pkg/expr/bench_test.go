package expr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const benchRows = 4096

var benchSchema = sqltype.Schema{
	{Name: "id", Type: sqltype.IntType}, {Name: "product", Type: sqltype.StringType}, {Name: "price", Type: sqltype.BigIntType},
	{Name: "kdv", Type: sqltype.DoubleType}, {Name: "ts", Type: sqltype.TimestampType(3)},
}

// benchBatch has prices and rates as the reference job sees them, and a NULL now and then.
func benchBatch() arrow.RecordBatch {
	r := rand.New(rand.NewPCG(1, 2))
	b := array.NewRecordBuilder(memory.DefaultAllocator, benchSchema.Arrow())
	defer b.Release()
	for i := range benchRows {
		b.Field(0).(*array.Int32Builder).Append(int32(i))
		b.Field(1).(*array.StringBuilder).Append([]string{"Televizyon", "Araba", "Ses Sistemi", "Çamaşır makinesi"}[i%4])
		if i%100 == 7 {
			b.Field(2).AppendNull()
		} else {
			b.Field(2).(*array.Int64Builder).Append(r.Int64N(1_000_000))
		}
		b.Field(3).(*array.Float64Builder).Append([]float64{0.01, 0.08, 0.1, 0.18, 0.2}[r.IntN(5)])
		b.Field(4).(*array.Decimal128Builder).Append(sqltype.TimestampValue(1741089349000+int64(i)*137, 0))
	}
	return b.NewRecordBatch()
}

func BenchmarkEval(b *testing.B) {
	batch := benchBatch()
	defer batch.Release()
	for _, text := range []string{
		"price * (1 + kdv)",
		"CAST(price AS DECIMAL(20,2)) * (1 + CAST(kdv AS DECIMAL(4,2)))",
		"price > 1000 AND kdv < 0.2e0 OR product = 'Araba'",
		"CASE WHEN price > 500000 THEN 'pahali' ELSE 'ucuz' END",
		"COALESCE(price, 0)",
		"ROUND(price * (1 + kdv), 2)",
		"UPPER(product)",
		"product LIKE '%ara%'",
		"CAST(price * (1 + kdv) AS STRING)",
		"DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')",
		"FLOOR(ts TO HOUR)",
		"POWER(kdv, 1.5)",
	} {
		b.Run(text, func(b *testing.B) {
			p, err := Compile(text, benchSchema, Options{})
			if err != nil {
				b.Fatal(err)
			}
			e := p.NewEvaluator()
			b.ReportAllocs()
			for b.Loop() {
				a, err := e.Eval(batch, memory.DefaultAllocator)
				if err != nil {
					b.Fatal(err)
				}
				a.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
		})
	}
}

func BenchmarkFilter(b *testing.B) {
	batch := benchBatch()
	defer batch.Release()
	p, err := Compile("price > 500000 AND kdv IS NOT NULL", benchSchema, Options{})
	if err != nil {
		b.Fatal(err)
	}
	e := p.NewEvaluator()
	var rows []int32
	for b.Loop() {
		if rows, err = e.Filter(batch, rows[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkCompile(b *testing.B) {
	for _, text := range []string{"price * (1 + kdv)", "CASE WHEN price > 1 THEN UPPER(product) ELSE CONCAT(product, '-', CAST(id AS STRING)) END"} {
		b.Run(fmt.Sprint(len(text)), func(b *testing.B) {
			for b.Loop() {
				if _, err := Compile(text, benchSchema, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
