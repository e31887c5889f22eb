package window_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/format/csv"
	jsonformat "pencere/pkg/format/json"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// differing are the cases in which rows must differ from Flink's, and why.
var differing = map[string]string{
	"win-periodic-late": timer,
	"win-size-90s":      timer,
}

const timer = "Flink made its watermarks on a timer of 200 ms, and had read all rows before the first: it kept a row that is late by the data"

// TestFlink runs the windows of testdata/flink and compares every byte with what a Flink 1.20.5 wrote. COUNT(DISTINCT …), which
// there is not, is left out on both sides.
func TestFlink(t *testing.T) {
	cases, err := filepath.Glob("testdata/flink/*/case.json")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases:", err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			c := readCase(t, file)
			got := c.run(t, dir)
			want := c.expected(t, dir)
			reason, differs := differing[name]
			switch {
			case differs && slices.Equal(got, want):
				t.Errorf("equals Flink, but is listed as differing: %s", reason)
			case !differs && !slices.Equal(got, want):
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// golden is a case.json and what its query says.
type golden struct {
	Columns    []struct{ Name, Type string }
	JSON       map[string]string
	Partitions int
	Computed   string
	Watermark  string
	Query      string
	Output     []struct{ Name, Type string } `json:"output_columns"`

	source  sqltype.Schema // what is decoded, and the computed column
	time    int            // the place of the time column
	config  window.Config
	keys    []int    // the places of the keys in source
	args    []int    // the places of the arguments
	selects []string // for each output column the result column it shows, "" when it is left out
}

var (
	aggregateCall = regexp.MustCompile(`^(COUNT|SUM|AVG|MIN|MAX)\((\*|\w+)\) AS (\w+)$`)
	windowSize    = regexp.MustCompile(`INTERVAL '(\d+)' (\w+)`)
	delay         = regexp.MustCompile(`- INTERVAL '([\d.]+)' SECOND`)
)

var units = map[string]time.Duration{"SECOND": time.Second, "MINUTE": time.Minute, "HOUR": time.Hour, "DAY": 24 * time.Hour}

func readCase(t *testing.T, file string) *golden {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &golden{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	for _, col := range c.Columns {
		c.source = append(c.source, sqltype.Column{Name: col.Name, Type: mustType(t, col.Type)})
	}
	if c.Computed != "" {
		c.source = append(c.source, sqltype.Column{Name: "price_with_kdv", Type: sqltype.DoubleType})
	}
	timeColumn, _, _ := strings.Cut(c.Watermark, " ")
	c.time = c.source.Index(timeColumn)
	size := windowSize.FindStringSubmatch(c.Query)
	n, err := strconv.Atoi(size[1])
	if err != nil {
		t.Fatal(err)
	}
	c.config.Window = window.Tumbling{Size: (time.Duration(n) * units[size[2]]).Milliseconds()}
	if c.source[c.time].Type.Kind == sqltype.TimestampLTZ {
		c.config.Window.Zone = time.UTC
	}
	c.readSelect(t)
	return c
}

// readSelect takes the keys and the aggregates from the query's columns.
func (c *golden) readSelect(t *testing.T) {
	list, from, _ := strings.Cut(strings.TrimPrefix(c.Query, "SELECT "), " FROM ")
	for _, key := range strings.Split(from[strings.Index(from, "TUMBLE(")+len("TUMBLE("):], ", ") {
		if at := c.source.Index(key); at >= 0 && at != c.time {
			c.keys = append(c.keys, at)
			c.config.Keys = append(c.config.Keys, c.source[at])
		}
	}
	for _, item := range splitColumns(list) {
		call := aggregateCall.FindStringSubmatch(item)
		switch {
		case strings.HasPrefix(item, "TUMBLE_START"):
			c.selects = append(c.selects, window.StartColumn)
		case strings.HasPrefix(item, "TUMBLE_END"):
			c.selects = append(c.selects, window.EndColumn)
		case strings.HasPrefix(item, "COUNT(DISTINCT"):
			c.selects = append(c.selects, "")
		case call != nil:
			spec := window.AggregateSpec{Func: call[1], Name: call[3]}
			if call[2] != "*" {
				at := c.source.Index(call[2])
				spec.Arg = c.source[at].Type
				c.args = append(c.args, at)
			}
			c.config.Aggregates = append(c.config.Aggregates, spec)
			c.selects = append(c.selects, "agg "+spec.Name)
		case c.config.Keys.Index(item) >= 0:
			c.selects = append(c.selects, "key "+item)
		default:
			t.Fatalf("query column %q is not understood", item)
		}
	}
}

// splitColumns splits a SELECT list at the commas outside parentheses.
func splitColumns(list string) []string {
	var items []string
	depth, begin := 0, 0
	for i, r := range list {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			items = append(items, strings.TrimSpace(list[begin:i]))
			begin = i + 1
		}
	}
	return append(items, strings.TrimSpace(list[begin:]))
}

func mustType(t *testing.T, text string) sqltype.Type {
	typ, err := sqltype.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// run returns the lines that the case writes, sorted.
func (c *golden) run(t *testing.T, dir string) []string {
	p := pipeline{config: c.config, timeType: c.source[c.time].Type, subtasks: 1, batchSizes: func() int { return 7 }}
	if m := delay.FindStringSubmatch(c.Watermark); m != nil {
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		p.delay = int64(seconds * 1000)
	}
	var splits [][]row
	for i := range c.Partitions {
		file := "input.jsonl"
		if c.Partitions > 1 {
			file = fmt.Sprintf("input-%d.jsonl", i)
		}
		splits = append(splits, c.readSplit(t, filepath.Join(dir, file)))
	}
	results, _ := p.run(t, splits)
	var lines []byte
	for _, batch := range results {
		lines = c.write(t, lines, batch)
	}
	return sortedLines(lines)
}

func (c *golden) readSplit(t *testing.T, file string) []row {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options, err := jsonformat.ParseOptions(c.JSON)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := jsonformat.NewDecoder(c.source[:len(c.Columns)], options, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if _, err := decoder.Append(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			t.Fatal(err)
		}
	}
	batch := decoder.NewBatch()
	var rows []row
	for i := range int(batch.NumRows()) {
		if strings.Contains(c.Query, "IS NOT NULL") && batch.Column(c.time).IsNull(i) {
			continue
		}
		r := row{time: batch.Column(c.time).ValueStr(i)}
		for _, at := range append(slices.Clone(c.keys), c.args...) {
			if at == len(c.Columns) {
				r.cells = append(r.cells, priceWithKDV(batch, i))
			} else {
				r.cells = append(r.cells, batch.Column(at).ValueStr(i))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// priceWithKDV is the one computed column of the cases: price * (1 + kdv).
func priceWithKDV(batch arrow.RecordBatch, i int) string {
	price := batch.Column(batch.Schema().FieldIndices("price")[0]).(*array.Int64)
	kdv := batch.Column(batch.Schema().FieldIndices("kdv")[0]).(*array.Float64)
	if price.IsNull(i) || kdv.IsNull(i) {
		return array.NullValueStr
	}
	return strconv.FormatFloat(float64(price.Value(i))*(1+kdv.Value(i)), 'g', -1, 64)
}

// write appends a result batch as CSV, with the columns of the query but those left out.
func (c *golden) write(t *testing.T, dst []byte, batch arrow.RecordBatch) []byte {
	result, err := c.config.Result()
	if err != nil {
		t.Fatal(err)
	}
	var schema sqltype.Schema
	var columns []arrow.Array
	for _, s := range c.selects {
		at := len(result) - 1
		switch kind, name, _ := strings.Cut(s, " "); {
		case s == "":
			continue
		case kind == "key":
			at = c.config.Keys.Index(name)
		case kind == "agg":
			at = len(c.config.Keys) + result[len(c.config.Keys):].Index(name)
		case s == window.StartColumn:
			at--
		}
		schema = append(schema, result[at])
		columns = append(columns, batch.Column(at))
	}
	encoder, err := csv.NewEncoder(schema, csvOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	dst, err = encoder.AppendRows(dst, array.NewRecordBatch(schema.Arrow(), columns, batch.NumRows()))
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

func csvOptions(t *testing.T) csv.Options {
	options, err := csv.ParseOptions(map[string]string{"write-bigdecimal-in-scientific-notation": "true"})
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// expected returns Flink's lines, sorted, without the columns that are left out, which are the last ones.
func (c *golden) expected(t *testing.T, dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "expected.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := sortedLines(text)
	for i := range lines {
		for _, s := range c.selects {
			if s == "" {
				lines[i] = lines[i][:strings.LastIndexByte(lines[i], ',')]
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func sortedLines(text []byte) []string {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	slices.Sort(lines)
	return lines
}
