package expr

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// flinkResult is what a Flink 1.20.5 makes of an expression: type and values, or the type of an expression that was only planned, or an error, with
// a type if it came when the job ran.
type flinkResult struct {
	Expr, Type, Error string
	Values            []*string
}

// TestDifferential compares with the answers of Flink in testdata/differential. The first line of a file has the table.
func TestDifferential(t *testing.T) {
	files, err := filepath.Glob("testdata/differential/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			lines := linesOf(t, file)
			var table struct {
				Columns []struct{ Name, Type string }
				Rows    []json.RawMessage
			}
			if err := json.Unmarshal([]byte(lines[0]), &table); err != nil {
				t.Fatal(err)
			}
			schema := schemaOf(t, table.Columns)
			var rows []string
			for _, row := range table.Rows {
				rows = append(rows, string(row))
			}
			batch := batchOf(t, schema, rows)
			defer batch.Release()
			for _, line := range lines[1:] {
				var want flinkResult
				if err := json.Unmarshal([]byte(line), &want); err != nil {
					t.Fatal(err)
				}
				difference := compareWithFlink(want, schema, batch)
				if reason := differenceIn(filepath.Base(t.Name()), want.Expr); difference != "" && reason == "" {
					t.Errorf("%s: %s", want.Expr, difference)
				} else if difference == "" && reason != "" {
					t.Errorf("%s is listed as a difference (%s) but agrees", want.Expr, reason)
				}
			}
		})
	}
}

// compareWithFlink says how we differ, "" if not.
func compareWithFlink(want flinkResult, schema sqltype.Schema, batch arrow.RecordBatch) string {
	p, err := Compile(want.Expr, schema, Options{})
	if err != nil {
		if want.Error == "" {
			return err.Error() + "; want " + want.Type
		}
		return ""
	}
	if want.Type == "" {
		return "compiles as " + p.Type().String() + "; want " + want.Error
	}
	if typ, err := sqltype.Parse(want.Type); err == nil && typ.Nullable() != p.Type().Nullable() {
		return "type " + p.Type().String() + ", want " + want.Type
	} else if err == nil && typ.NotNull != p.Type().NotNull && p.Type().NotNull {
		return "type " + p.Type().String() + " is NOT NULL"
	}
	if want.Values == nil && want.Error == "" {
		return ""
	}
	a, err := p.Eval(batch, memory.DefaultAllocator)
	if (err != nil) != (want.Error != "") {
		return fmt.Sprintf("error %v, want %q", err, want.Error)
	}
	if err != nil {
		return ""
	}
	defer a.Release()
	for i, w := range want.Values {
		got := "NULL"
		if a.IsValid(i) {
			got = javaText(a, p.Type(), i)
		}
		if w == nil && got != "NULL" || w != nil && got != *w {
			expected := "NULL"
			if w != nil {
				expected = *w
			}
			return fmt.Sprintf("row %d: %s, want %s", i, got, expected)
		}
	}
	return ""
}

// javaText writes a value as the toString of the Java value that Flink gives for it.
func javaText(a arrow.Array, typ sqltype.Type, i int) string {
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.FormatBool(a.Value(i))
	case *array.Float32:
		return string(javafmt.AppendFloat(nil, a.Value(i)))
	case *array.Float64:
		return string(javafmt.AppendDouble(nil, a.Value(i)))
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return hex.EncodeToString(a.Value(i))
	case *array.Date32:
		return string(calendar.AppendDate(nil, int64(a.Value(i))))
	case *array.Time32:
		return javaTime(int64(a.Value(i)), 0)
	case *array.Decimal128:
		if typ.Kind == sqltype.Decimal {
			return string(decimal.Append(nil, a.Value(i), typ.Scale))
		}
		ms, nanos := sqltype.TimestampParts(a.Value(i))
		text := string(calendar.AppendDate(nil, calendar.FloorDiv(ms, calendar.Day))) + "T" + javaTime(calendar.FloorMod(ms, calendar.Day), nanos)
		if typ.Kind == sqltype.TimestampLTZ { // an Instant always has its seconds
			if strings.Count(text, ":") == 1 {
				text += ":00"
			}
			text += "Z"
		}
		return text
	}
	switch typ.Kind {
	case sqltype.IntervalDayTime:
		return javaDuration(a.(*array.Int64).Value(i))
	case sqltype.IntervalYearMonth:
		return fmt.Sprintf("P%dM", a.(*array.Int32).Value(i))
	default:
		return a.ValueStr(i)
	}
}

// javaTime is LocalTime.toString: no seconds if they are zero, 3, 6 or 9 digits after the point.
func javaTime(ms int64, nanos uint32) string {
	text := string(calendar.AppendTime(nil, ms, 0))
	fraction := ms%1000*1_000_000 + int64(nanos)
	switch {
	case fraction == 0:
		if ms%calendar.Minute == 0 {
			text = text[:len("HH:mm")]
		}
		return text
	case fraction%1_000_000 == 0:
		return fmt.Sprintf("%s.%03d", text, fraction/1_000_000)
	case fraction%1000 == 0:
		return fmt.Sprintf("%s.%06d", text, fraction/1000)
	}
	return fmt.Sprintf("%s.%09d", text, fraction)
}

// javaDuration is Duration.toString.
func javaDuration(ms int64) string {
	text := "PT"
	if h := ms / calendar.Hour; h != 0 {
		text += fmt.Sprintf("%dH", h)
	}
	if m := ms % calendar.Hour / calendar.Minute; m != 0 {
		text += fmt.Sprintf("%dM", m)
	}
	if s := ms % calendar.Minute; s != 0 || text == "PT" {
		text += strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", float64(s)/1000), "0"), ".") + "S"
	}
	return text
}
