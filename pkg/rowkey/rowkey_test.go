package rowkey_test

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"

	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
)

// domains are the types that keys have, each with values, as Arrow's own text, that are easily taken for one another.
var domains = []struct {
	typ    sqltype.Type
	values []string
}{
	{sqltype.BooleanType, []string{"true", "false"}},
	{sqltype.TinyIntType, []string{"-128", "-1", "0", "127"}},
	{sqltype.SmallIntType, []string{"-32768", "-1", "0", "32767"}},
	{sqltype.IntType, []string{"-2147483648", "-1", "0", "2147483647"}},
	{sqltype.BigIntType, []string{"-9223372036854775808", "-1", "0", "9223372036854775807"}},
	{sqltype.FloatType, []string{"0", "-0", "NaN", "+Inf", "1.5"}},
	{sqltype.DoubleType, []string{"0", "-0", "NaN", "-Inf", "1.5"}},
	{sqltype.DecimalType(18, 0), []string{"0", "-1", "999999999999999999", "-999999999999999999"}},
	{sqltype.DecimalType(38, 0), []string{"0", "-1", strings.Repeat("9", 38), "-" + strings.Repeat("9", 38)}},
	{sqltype.StringType, []string{"", "a", "a\x00", "\x00", "ş", strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 20_000)}},
	{sqltype.Type{Kind: sqltype.Char, Length: 2}, []string{"", "a ", "a"}},
	{sqltype.BytesType, []string{"", "AA==", "AAA="}},
	{sqltype.DateType, []string{"1969-12-31", "1970-01-01"}},
	{sqltype.TimeType(0), []string{"00:00:00.000", "23:59:59.000"}},
	{sqltype.TimestampType(3), []string{timestamp(-1, 999_999), timestamp(-1, 0), timestamp(0, 0), timestamp(0, 1)}},
	{sqltype.TimestampLTZType(0), []string{timestamp(-1, 999_999), timestamp(-1, 0), timestamp(0, 0), timestamp(0, 1)}},
	{sqltype.TimestampType(4), []string{timestamp(-1, 999_999), timestamp(-1, 0), timestamp(0, 0), timestamp(0, 1)}},
	{sqltype.TimestampLTZType(9), []string{timestamp(-1, 999_999), timestamp(-1, 0), timestamp(0, 0), timestamp(0, 1)}},
	{sqltype.NullType, nil},
}

func timestamp(ms int64, nanos uint32) string {
	return sqltype.TimestampValue(ms, nanos).BigInt().String()
}

// canonical is what a value is as a key: only timestamps change.
func canonical(t sqltype.Type, value string) string {
	if !t.IsTimestamp() || t.Precision > 3 || value == array.NullValueStr {
		return value
	}
	bits, _ := new(big.Int).SetString(value, 10)
	ms, _ := sqltype.TimestampParts(decimal128.FromBigInt(bits))
	return timestamp(ms, 0)
}

// table is a batch as text, by row.
type table struct {
	schema sqltype.Schema
	rows   [][]string
}

func drawTable(t *rapid.T) table {
	var tab table
	picked := rapid.SliceOfN(rapid.IntRange(0, len(domains)-1), 0, 11).Draw(t, "columns")
	for i, d := range picked {
		tab.schema = append(tab.schema, sqltype.Column{Name: fmt.Sprint("c", i), Type: domains[d].typ})
	}
	for row := range rapid.IntRange(0, 12).Draw(t, "rows") {
		cells := make([]string, len(picked))
		for i, d := range picked {
			values := append([]string{array.NullValueStr}, domains[d].values...)
			cells[i] = rapid.SampledFrom(values).Draw(t, fmt.Sprint("r", row, "c", i))
		}
		tab.rows = append(tab.rows, cells)
	}
	return tab
}

func (tab table) batch(t interface{ Fatal(...any) }) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, tab.schema.Arrow())
	defer b.Release()
	for _, cells := range tab.rows {
		for i, cell := range cells {
			if err := b.Field(i).AppendValueFromString(cell); err != nil {
				t.Fatal(err)
			}
		}
	}
	columns := b.NewRecordBatch().Columns()
	return array.NewRecordBatch(tab.schema.Arrow(), columns, int64(len(tab.rows)))
}

func places(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func collect(keys *rowkey.Keys) [][]byte {
	all := make([][]byte, keys.Len())
	for i := range all {
		all[i] = keys.Key(i)
	}
	return all
}

// Two keys are equal just when all their values are, and a key decodes to the values it was made of.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		codec := rowkey.New(tab.schema)
		batch := tab.batch(t)
		var keys rowkey.Keys
		codec.Encode(&keys, batch, places(len(tab.schema)))
		if keys.Len() != len(tab.rows) {
			t.Fatalf("%d keys of %d rows", keys.Len(), len(tab.rows))
		}
		for i := range tab.rows {
			for j := range tab.rows {
				equal := tab.text(i) == tab.text(j)
				if got := string(keys.Key(i)) == string(keys.Key(j)); got != equal {
					t.Fatalf("keys of rows %q and %q: equal is %v", tab.text(i), tab.text(j), got)
				}
			}
		}

		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		columns := codec.Decode(collect(&keys), alloc)
		for c, column := range columns {
			if !arrow.TypeEqual(column.DataType(), tab.schema[c].Type.Arrow()) {
				t.Fatalf("column %s decodes as %s", tab.schema[c].Type, column.DataType())
			}
			for row := range tab.rows {
				want := canonical(tab.schema[c].Type, tab.rows[row][c])
				if got := column.ValueStr(row); got != want || column.IsNull(row) != (want == array.NullValueStr && column.DataType().ID() != arrow.NULL) {
					t.Fatalf("%s %q decodes as %q", tab.schema[c].Type, want, got)
				}
			}
			column.Release()
		}
		alloc.AssertSize(failer{t}, 0)
	})
}

type failer struct{ *rapid.T }

func (failer) Helper() {}

func (tab table) text(row int) string {
	cells := make([]string, len(tab.schema))
	for i, cell := range tab.rows[row] {
		cells[i] = canonical(tab.schema[i].Type, cell)
	}
	return strings.Join(cells, "|")
}

// A key is the same wherever its row stands: in a slice of a batch, at another place among the columns, after other keys.
func TestKeysOfSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		batch := tab.batch(t)
		var whole, part rowkey.Keys
		codec := rowkey.New(tab.schema)
		codec.Encode(&whole, batch, places(len(tab.schema)))

		from := rapid.IntRange(0, len(tab.rows)).Draw(t, "from")
		to := rapid.IntRange(from, len(tab.rows)).Draw(t, "to")
		codec.Encode(&part, batch, places(len(tab.schema)))
		codec.Encode(&part, batch.NewSlice(int64(from), int64(to)), places(len(tab.schema)))
		if part.Len() != to-from {
			t.Fatalf("%d keys of rows %d to %d", part.Len(), from, to)
		}
		for i := range part.Len() {
			if string(part.Key(i)) != string(whole.Key(from+i)) {
				t.Fatalf("row %d has another key in a slice", from+i)
			}
		}
	})
}

// All NaN are one, whatever their bits.
func TestNaN(t *testing.T) {
	schema := sqltype.Schema{{Name: "f", Type: sqltype.FloatType}, {Name: "d", Type: sqltype.DoubleType}}
	floats := array.NewFloat32Data(array.NewData(arrow.PrimitiveTypes.Float32, 2,
		[]*memory.Buffer{nil, memory.NewBufferBytes([]byte{0, 0, 0xc0, 0x7f, 1, 0, 0x80, 0xff})}, nil, 0, 0))
	doubles := array.NewFloat64Data(array.NewData(arrow.PrimitiveTypes.Float64, 2,
		[]*memory.Buffer{nil, memory.NewBufferBytes([]byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 1, 0, 0, 0, 0, 0, 0xf0, 0xff})}, nil, 0, 0))
	batch := array.NewRecordBatch(schema.Arrow(), []arrow.Array{floats, doubles}, 2)
	var keys rowkey.Keys
	rowkey.New(schema).Encode(&keys, batch, places(2))
	if string(keys.Key(0)) != string(keys.Key(1)) {
		t.Errorf("keys of two NaN: %x and %x", keys.Key(0), keys.Key(1))
	}
}

// What lies under a NULL is undefined in Arrow and has no part in the key.
func TestBytesUnderNull(t *testing.T) {
	schema := sqltype.Schema{{Name: "i", Type: sqltype.IntType}, {Name: "s", Type: sqltype.StringType}}
	validity := memory.NewBufferBytes([]byte{0})
	ints := array.NewInt32Data(array.NewData(arrow.PrimitiveTypes.Int32, 2,
		[]*memory.Buffer{validity, memory.NewBufferBytes([]byte{1, 0, 0, 0, 2, 0, 0, 0})}, nil, 2, 0))
	texts := array.NewStringData(array.NewData(arrow.BinaryTypes.String, 2,
		[]*memory.Buffer{validity, memory.NewBufferBytes([]byte{0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}), memory.NewBufferBytes([]byte("abc"))}, nil, 2, 0))
	batch := array.NewRecordBatch(schema.Arrow(), []arrow.Array{ints, texts}, 2)
	var keys rowkey.Keys
	rowkey.New(schema).Encode(&keys, batch, places(2))
	if got := hex.EncodeToString(keys.Key(0)); got != "030000000000" || string(keys.Key(0)) != string(keys.Key(1)) {
		t.Errorf("keys of two rows of NULL: %s and %x", got, keys.Key(1))
	}
}

// State and subtasks of every version agree on these keys and hashes: a change here loses state.
func TestVectors(t *testing.T) {
	tab := table{schema: sqltype.Schema{
		{Name: "b", Type: sqltype.BooleanType}, {Name: "i", Type: sqltype.IntType}, {Name: "s", Type: sqltype.StringType},
		{Name: "l", Type: sqltype.BigIntType}, {Name: "f", Type: sqltype.FloatType}, {Name: "d", Type: sqltype.DoubleType},
		{Name: "m", Type: sqltype.DecimalType(10, 2)}, {Name: "w", Type: sqltype.DecimalType(20, 0)},
		{Name: "t", Type: sqltype.TimestampType(3)}, {Name: "u", Type: sqltype.TimestampType(9)},
		{Name: "y", Type: sqltype.BytesType}, {Name: "a", Type: sqltype.DateType},
	}, rows: [][]string{
		{"true", "7", "Televizyon", "18000", "1.5", "0.18", "12.34", "-1", timestamp(1741089349000, 1), timestamp(1741089349000, 1), "AAE=", "2025-03-04"},
		{"false", "-1", "", "0", "-0", "NaN", "0", "0", timestamp(-1, 999_999), timestamp(-1, 999_999), "", "1969-12-31"},
		strings.Split(strings.Repeat(array.NullValueStr+"|", 11)+array.NullValueStr, "|"),
	}}
	want := []struct {
		key  string
		hash uint64
	}{
		{"0000010700000050460000000000000000c03f0ad7a3703d0ac73fd204000000000000ffffffffffffffffffffffffffffffff881d036195010000881d03619501000001000000b74e00000a54656c6576697a796f6e020001", 0x5af996efdabb099c},
		{"000000ffffffff000000000000000000000080000000000000f87f000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffff3f420f00ffffffff0000", 0x389bce77fd15cae6},
		{"ff0f000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", 0xa4cbb99dbed4065b},
	}
	var keys rowkey.Keys
	rowkey.New(tab.schema).Encode(&keys, tab.batch(t), places(len(tab.schema)))
	for i, h := range keys.Hashes(nil) {
		if got := hex.EncodeToString(keys.Key(i)); got != want[i].key || h != want[i].hash {
			t.Errorf("row %d has key %s and hash %#x, want %s and %#x", i, got, h, want[i].key, want[i].hash)
		}
	}
	if got := rowkey.Hash(nil); got != 0x2d06800538d394c2 { // of the empty input, in XXH3's specification
		t.Errorf("hash of the empty key is %#x", got)
	}
}

// Each key group belongs to the one subtask whose range holds it, and the ranges are as even as can be.
func TestKeyGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxParallelism := rapid.IntRange(1, 1000).Draw(t, "max parallelism")
		parallelism := rapid.IntRange(1, maxParallelism).Draw(t, "parallelism")
		next := 0
		for subtask := range parallelism {
			first, last := rowkey.Range(subtask, parallelism, maxParallelism)
			if first != next {
				t.Fatalf("subtask %d begins at key group %d, want %d", subtask, first, next)
			}
			for keyGroup := first; keyGroup <= last; keyGroup++ {
				if got := rowkey.Subtask(keyGroup, parallelism, maxParallelism); got != subtask {
					t.Fatalf("key group %d belongs to %d, but lies in the range of %d", keyGroup, got, subtask)
				}
			}
			if n, even := last-first+1, maxParallelism/parallelism; n < even || n > even+1 {
				t.Fatalf("subtask %d has %d key groups of %d by %d", subtask, n, maxParallelism, parallelism)
			}
			next = last + 1
		}
		if next != maxParallelism {
			t.Fatalf("ranges end at %d of %d", next, maxParallelism)
		}
		hash := rapid.Uint64().Draw(t, "hash")
		if got := rowkey.KeyGroup(hash, maxParallelism); got < 0 || got >= maxParallelism {
			t.Fatalf("key group %d of %d", got, maxParallelism)
		}
	})
}
