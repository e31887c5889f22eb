package json_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pencere/pkg/arrowpool"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/valyala/fastjson"
)

// listings is the reference job's row type.
var listings = sqltype.Schema{
	{Name: "id", Type: sqltype.IntType},
	{Name: "product", Type: sqltype.StringType},
	{Name: "description", Type: sqltype.StringType},
	{Name: "price", Type: sqltype.BigIntType},
	{Name: "kdv", Type: sqltype.DoubleType},
	{Name: "timestamp_column", Type: sqltype.TimestampType(3)},
}

const listing = `{"id":7,"product":"Televizyon","description":"ikinci el LG OLED TV","price":18000,"kdv":0.18,"timestamp_column":"2025-03-04 11:55:49"}`

const (
	benchmarkBatch  = 4096     // rows
	benchmarkMemory = 64 << 20 // bytes that the pool keeps
)

// benchmarkDecode appends messages in turn and takes a batch every few thousand rows, as a source does.
func benchmarkDecode(b *testing.B, schema sqltype.Schema, messages ...string) {
	d, err := json.NewDecoder(schema, json.Options{}, arrowpool.New(benchmarkMemory))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Release()
	texts := make([][]byte, len(messages))
	size := 0
	for i, m := range messages {
		texts[i] = []byte(m)
		size += len(m)
	}
	b.SetBytes(int64(size / len(messages)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if outcome, err := d.Append(texts[i%len(texts)]); outcome != json.Appended {
			b.Fatal(outcome, err)
		}
		if d.Len() == benchmarkBatch {
			d.NewBatch().Release()
		}
	}
}

func benchmarkDocuments(b *testing.B) {
	d, err := json.NewDocumentDecoder("document", json.Fail, arrowpool.New(benchmarkMemory))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Release()
	text := []byte(listing)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if outcome, err := d.Append(text); outcome != json.Appended {
			b.Fatal(outcome, err)
		}
		if d.Len() == benchmarkBatch {
			d.NewBatch().Release()
		}
	}
}

func BenchmarkFind(b *testing.B) {
	path, err := json.ParsePath("$.kdv")
	if err != nil {
		b.Fatal(err)
	}
	var finder json.Finder
	text := []byte(listing)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if finder.Find(text, path) == nil {
			b.Fatal("nothing found")
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("reference", func(b *testing.B) { benchmarkDecode(b, listings, listing) })
	b.Run("varied", func(b *testing.B) { benchmarkDecode(b, listings, variedListings()...) })
	b.Run("python", func(b *testing.B) {
		benchmarkDecode(b, listings, strings.NewReplacer(`,"`, `, "`, `":`, `": `).Replace(listing))
	})
	b.Run("reversed", func(b *testing.B) {
		fields := strings.Split(strings.Trim(listing, "{}"), ",")
		var reversed []string
		for _, f := range fields {
			reversed = append([]string{f}, reversed...)
		}
		benchmarkDecode(b, listings, listing, "{"+strings.Join(reversed, ",")+"}")
	})
	b.Run("decimal", func(b *testing.B) {
		benchmarkDecode(b, sqltype.Schema{{Name: "price", Type: sqltype.DecimalType(20, 2)}}, `{"price":123456.78}`)
	})
	b.Run("document", benchmarkDocuments)
	b.Run("columns10000", func(b *testing.B) {
		schema, message := manyColumns(10_000)
		benchmarkDecode(b, schema, message)
	})
}

// variedListings are records whose lengths and digits branch predictors cannot learn.
func variedListings() []string {
	products := []string{"Ev", "Televizyon", "Buzdolabı", "Çamaşır makinesi", "Araba", "Bilgisayar"}
	var all []string
	for i := range 1021 {
		at := time.Date(2025, 3, 4, 0, 0, i*i%86400, 0, time.UTC).Format(time.DateTime)
		all = append(all, fmt.Sprintf(`{"id":%d,"product":%q,"description":"ikinci el %s%s","price":%d,"kdv":%g,"timestamp_column":%q}`,
			i*i, products[i*7%len(products)], products[i*5%len(products)], strings.Repeat(" TV", i%11), i*i*i%9_000_000, float64(i%40)/100, at))
	}
	return all
}

// BenchmarkFastjson fills the same columns by way of valyala/fastjson and Arrow's builders.
func BenchmarkFastjson(b *testing.B) {
	for name, messages := range map[string][]string{"reference": {listing}, "varied": variedListings()} {
		b.Run(name, func(b *testing.B) { benchmarkFastjson(b, messages) })
	}
}

func benchmarkFastjson(b *testing.B, messages []string) {
	builder := array.NewRecordBuilder(arrowpool.New(benchmarkMemory), listings.Arrow())
	defer builder.Release()
	id, product := builder.Field(0).(*array.Int32Builder), builder.Field(1).(*array.StringBuilder)
	description, price := builder.Field(2).(*array.StringBuilder), builder.Field(3).(*array.Int64Builder)
	kdv, at := builder.Field(4).(*array.Float64Builder), builder.Field(5).(*array.Decimal128Builder)
	var parser fastjson.Parser
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v, err := parser.Parse(messages[i%len(messages)])
		if err != nil {
			b.Fatal(err)
		}
		id.Append(int32(v.GetInt("id")))
		product.BinaryBuilder.Append(v.GetStringBytes("product"))
		description.BinaryBuilder.Append(v.GetStringBytes("description"))
		price.Append(v.GetInt64("price"))
		kdv.Append(v.GetFloat64("kdv"))
		at.Append(sqltype.TimestampValue(wallClock(v.GetStringBytes("timestamp_column")), 0))
		if id.Len() == benchmarkBatch {
			builder.NewRecordBatch().Release()
		}
	}
}

// wallClock reads yyyy-MM-dd HH:mm:ss, which it trusts, in milliseconds.
func wallClock(s []byte) int64 {
	number := func(from, to int) (v int) {
		for _, c := range s[from:to] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	return time.Date(number(0, 4), time.Month(number(5, 7)), number(8, 10), number(11, 13), number(14, 16), number(17, 19), 0, time.UTC).UnixMilli()
}
