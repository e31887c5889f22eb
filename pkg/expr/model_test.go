package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// tree is a random expression over the BOOLEANs f, g, h, and what it is for a row: TRUE, FALSE or NULL by the book, row by row.
type tree struct {
	text  string
	value func(row []*bool) *bool
}

func trees(depth int) *rapid.Generator[tree] {
	leaf := rapid.Custom(func(t *rapid.T) tree {
		i := rapid.IntRange(0, 4).Draw(t, "leaf")
		switch i {
		case 3:
			return tree{"CAST(NULL AS BOOLEAN)", func([]*bool) *bool { return nil }}
		case 4:
			return tree{"TRUE", func([]*bool) *bool { return new(true) }}
		}
		return tree{string("fgh"[i]), func(row []*bool) *bool { return row[i] }}
	})
	if depth == 0 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) tree {
		a, b := trees(depth-1).Draw(t, "a"), trees(depth-1).Draw(t, "b")
		c := trees(depth-1).Draw(t, "c")
		switch rapid.IntRange(0, 8).Draw(t, "operator") {
		case 0:
			return tree{fmt.Sprintf("(%s AND %s)", a.text, b.text), func(row []*bool) *bool { return and(a.value(row), b.value(row)) }}
		case 1:
			return tree{fmt.Sprintf("(%s OR %s)", a.text, b.text), func(row []*bool) *bool { return not(and(not(a.value(row)), not(b.value(row)))) }}
		case 2:
			return tree{fmt.Sprintf("(NOT %s)", a.text), func(row []*bool) *bool { return not(a.value(row)) }}
		case 3:
			return tree{fmt.Sprintf("(%s IS NULL)", a.text), func(row []*bool) *bool { return new(a.value(row) == nil) }}
		case 4:
			return tree{fmt.Sprintf("(%s IS NOT FALSE)", a.text), func(row []*bool) *bool { v := a.value(row); return new(v == nil || *v) }}
		case 5:
			return tree{fmt.Sprintf("COALESCE(%s, %s)", a.text, b.text), func(row []*bool) *bool {
				if v := a.value(row); v != nil {
					return v
				}
				return b.value(row)
			}}
		case 6:
			return tree{fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", a.text, b.text, c.text), func(row []*bool) *bool {
				if v := a.value(row); v != nil && *v {
					return b.value(row)
				}
				return c.value(row)
			}}
		case 7:
			return tree{fmt.Sprintf("(%s IS DISTINCT FROM %s)", a.text, b.text), func(row []*bool) *bool {
				x, y := a.value(row), b.value(row)
				return new((x == nil) != (y == nil) || x != nil && *x != *y)
			}}
		}
		return leaf.Draw(t, "again")
	})
}

func and(a, b *bool) *bool {
	switch {
	case a != nil && !*a || b != nil && !*b:
		return new(false)
	case a == nil || b == nil:
		return nil
	}
	return new(true)
}

func not(a *bool) *bool {
	if a == nil {
		return nil
	}
	return new(!*a)
}

// Logic has three values: kernels over bitmaps agree with the row-by-row model.
func TestThreeValuedLogic(t *testing.T) {
	var schema sqltype.Schema
	for _, name := range []string{"f", "g", "h"} {
		schema = append(schema, sqltype.Column{Name: name, Type: sqltype.BooleanType})
	}
	var rows [][]*bool
	values := []*bool{nil, new(false), new(true)}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	for i := range 27 {
		row := []*bool{values[i%3], values[i/3%3], values[i/9]}
		rows = append(rows, row)
		for k, v := range row {
			if v == nil {
				b.Field(k).AppendNull()
			} else {
				b.Field(k).(*array.BooleanBuilder).Append(*v)
			}
		}
	}
	batch := b.NewRecordBatch()
	defer batch.Release()
	rapid.Check(t, func(t *rapid.T) {
		tree := trees(rapid.IntRange(0, 4).Draw(t, "depth")).Draw(t, "tree")
		p, err := Compile(tree.text, schema, Options{})
		if err != nil {
			t.Fatalf("%s: %v", tree.text, err)
		}
		a, err := p.Eval(batch, memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%s: %v", tree.text, err)
		}
		defer a.Release()
		for i, row := range rows {
			want := tree.value(row)
			if a.IsNull(i) != (want == nil) || want != nil && a.(*array.Boolean).Value(i) != *want {
				t.Fatalf("%s: row %d is %s", tree.text, i, a.ValueStr(i))
			}
			if want == nil && p.Type().NotNull {
				t.Fatalf("%s is %s but NULL in row %d", tree.text, p.Type(), i)
			}
		}
	})
}

// Integers wrap around as Go's do, and / and % cut towards zero.
func TestIntegerModel(t *testing.T) {
	schema := sqltype.Schema{{Name: "a", Type: sqltype.IntType}, {Name: "b", Type: sqltype.BigIntType}}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int32().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
		defer builder.Release()
		builder.Field(0).(*array.Int32Builder).Append(a)
		builder.Field(1).(*array.Int64Builder).Append(b)
		batch := builder.NewRecordBatch()
		defer batch.Release()
		want := map[string]string{
			"a + a": fmt.Sprint(a + a), "a - b": fmt.Sprint(int64(a) - b), "a * b": fmt.Sprint(int64(a) * b), "a * a": fmt.Sprint(a * a), "-b": fmt.Sprint(-b),
			"CAST(b AS INT)": fmt.Sprint(int32(b)), "CAST(b AS TINYINT)": fmt.Sprint(int8(b)),
		}
		if a != 0 && b != 0 {
			want["a / b"], want["b / a"], want["MOD(a, b)"], want["MOD(b, a)"] = fmt.Sprint(int64(a)/b), fmt.Sprint(b/int64(a)), fmt.Sprint(int64(a)%b), fmt.Sprint(b%int64(a))
		}
		for text, value := range want {
			if got := evalText(t, text, schema, batch); got != value {
				t.Fatalf("%s = %s for %d, %d; want %s", text, got, a, b, value)
			}
		}
	})
}

// evalText evaluates the first row.
func evalText(t *rapid.T, text string, schema sqltype.Schema, batch arrow.RecordBatch) string {
	p, err := Compile(text, schema, Options{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	a, err := p.Eval(batch, memory.DefaultAllocator)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer a.Release()
	return a.ValueStr(0)
}

// mixedBatch has a column of each type, NULLs and extremes, 21 rows.
func mixedBatch(t testing.TB) (sqltype.Schema, arrow.RecordBatch) {
	types := "f BOOLEAN,ti TINYINT,i INT,l BIGINT,r FLOAT,x DOUBLE,p DECIMAL(10;2),q DECIMAL(38;18),v VARCHAR(10),s STRING,d DATE,t TIME,ts TIMESTAMP(3),tz TIMESTAMP_LTZ(9),n INT NOT NULL"
	var schema sqltype.Schema
	for column := range strings.SplitSeq(types, ",") {
		name, typ, _ := strings.Cut(strings.ReplaceAll(column, ";", ","), " ")
		parsed, err := sqltype.Parse(typ)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, sqltype.Column{Name: name, Type: parsed})
	}
	lines := []string{
		`{"n":0}`,
		`{"f":true,"ti":127,"i":2147483647,"l":9223372036854775807,"r":3.4e38,"x":1e308,"p":99999999.99,"q":99999999999999999999.5,"v":"12.5","s":"Çağ 😀","d":"9999-12-31","t":"23:59:59","ts":"9999-12-31 23:59:59.999","tz":"9999-12-31 23:59:59.999999999Z","n":1}`,
		`{"f":false,"ti":-128,"i":-2147483648,"l":-9223372036854775808,"r":-1e-45,"x":-5e-324,"p":-0.01,"q":-1e-18,"v":"","s":"","d":"0001-01-01","t":"00:00:00","ts":"1969-12-31 23:59:59.5","tz":"0001-01-01 00:00:00","n":-1}`,
		`{"f":true,"ti":1,"i":7,"l":18000,"r":0.1,"x":0.18,"p":12.3,"q":1,"v":"true","s":"2025-03-04 11:55:49","d":"2025-03-04","t":"11:55:49","ts":"2025-03-04 11:55:49.123","tz":"2025-03-04 11:55:49.123456789","n":3}`,
		`{"f":false,"ti":0,"i":0,"l":0,"r":0,"x":"NaN","p":0,"q":0,"v":"x","s":"%_a","n":2}`,
	}
	for i := range 16 {
		lines = append(lines, lines[i%5])
	}
	return schema, batchOf(t, schema, lines)
}

// FuzzCompile: any text compiles or gives an error with a place in it; what compiles gives for a batch what it gives for its rows one by one, and a
// failure of the batch is a failure of a row.
func FuzzCompile(f *testing.F) {
	for _, text := range fuzzSeeds {
		f.Add(text)
	}
	schema, batch := mixedBatch(f)
	f.Fuzz(func(t *testing.T, text string) {
		checkExpressionByRow(t, text, schema, batch)
	})
}

var fuzzSeeds = []string{
	"price * (1 + kdv)", "p * q + i", "CASE WHEN i > 0 THEN s ELSE v END", "COALESCE(s, 'a')", "CAST(s AS TIMESTAMP(3)) > ts", "x / 0 IS NULL AND NOT f",
	"l BETWEEN i AND 5 OR ti IN (1, NULL)", "SUBSTRING(s FROM 2 FOR 1) || v", "FLOOR(ts TO MONTH) + INTERVAL '1 02:03:04.5' DAY TO SECOND", "EXTRACT(DOW FROM d)",
	"TRY_CAST(s AS DECIMAL(5, 1))", "ROUND(x, 2) = TRUNCATE(p, -1)", "UPPER(TRIM(BOTH 'x' FROM s)) LIKE '%!%_' ESCAPE '!'", "LPAD(s, 5, '😀')", "DATE_FORMAT(tz, 'yyyy-MM-dd''T''HH')",
	"-9223372036854775808 % -1", "GREATEST(i, l, p)", "IF(f, r, x)", "CONCAT_WS(',', s, v)", "TIMESTAMPADD(MONTH, n, d)", "REGEXP_REPLACE(s, '[a-z]+', '')", "POWER(x, r)", "MOD(p, n)",
	"CAST(q AS STRING)", "CAST(x AS DECIMAL(38, 30))", "REPEAT(s, n)", "((((1))))", "X'4142'", "TIMESTAMP '2025-03-04 11:00:00'", "s SIMILAR TO 'a|b%'", "1e400", "`f` IS DISTINCT FROM TRUE",
}

func checkExpressionByRow(t *testing.T, text string, schema sqltype.Schema, batch arrow.RecordBatch) {
	p, err := Compile(text, schema, Options{})
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Line < 1 || e.Column < 1 || e.Message == "" {
			t.Fatalf("%q: error %#v has no place", text, err)
		}
		return
	}
	whole, wholeErr := p.Eval(batch, memory.DefaultAllocator)
	if whole != nil {
		defer whole.Release()
	}
	var e *RowError
	if wholeErr != nil && (!errors.As(wholeErr, &e) || e.Row < 0 || e.Row >= int(batch.NumRows())) {
		t.Fatalf("%q: error %#v has no row", text, wholeErr)
	}
	evaluator := p.NewEvaluator()
	failed := false
	for i := range batch.NumRows() {
		row := batch.NewSlice(i, i+1)
		one, err := evaluator.Eval(row, memory.DefaultAllocator)
		row.Release()
		if err != nil {
			failed = true
			continue
		}
		if wholeErr == nil && !array.Equal(array.NewSlice(whole, i, i+1), one) && one.ValueStr(0) != whole.ValueStr(int(i)) {
			t.Fatalf("%q: row %d is %s in the batch and %s alone", text, i, whole.ValueStr(int(i)), one.ValueStr(0))
		}
		if one.IsNull(0) && p.Type().NotNull {
			t.Fatalf("%q is %s but NULL in row %d", text, p.Type(), i)
		}
		one.Release()
	}
	if failed != (wholeErr != nil) {
		t.Fatalf("%q: the batch fails: %v; a row fails: %v", text, wholeErr, failed)
	}
}

// All expressions that the other tests have behave by row as by batch, also where the batch begins within another.
func TestByRow(t *testing.T) {
	schema, batch := mixedBatch(t)
	defer batch.Release()
	for _, text := range fuzzSeeds {
		checkExpressionByRow(t, text, schema, batch)
		slice := batch.NewSlice(3, 19)
		checkExpressionByRow(t, text, schema, slice)
		slice.Release()
	}
}
