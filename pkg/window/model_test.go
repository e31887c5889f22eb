package window_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"pencere/pkg/eventtime"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// null is how tests write NULL.
const null = array.NullValueStr

// arguments are types of aggregated columns, each with values around its limits, as Arrow's own text.
var arguments = []struct {
	typ    sqltype.Type
	values []string
}{
	{sqltype.TinyIntType, []string{"127", "-128", "1", "-7"}},
	{sqltype.SmallIntType, []string{"32767", "-32768", "1", "-7"}},
	{sqltype.IntType, []string{"2147483647", "-2147483648", "1", "-7"}},
	{sqltype.BigIntType, []string{"9223372036854775807", "-9223372036854775808", "1", "-7"}},
	{sqltype.FloatType, []string{"1e+08", "1", "-1e+08", "NaN", "+Inf", "-0", "0.1"}},
	{sqltype.DoubleType, []string{"1e+16", "1", "-1e+16", "NaN", "+Inf", "-0", "0.1"}},
	{sqltype.DecimalType(10, 2), []string{"0.01", "-0.05", "99999999.99", "5.50"}},
	{sqltype.DecimalType(38, 10), []string{"9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "0.0000000001", "7.0000000000"}},
	{sqltype.DecimalType(38, 0), []string{strings.Repeat("9", 38), "-" + strings.Repeat("9", 38), "1", strings.Repeat("7", 33)}},
	{sqltype.StringType, []string{"", "a", "Z", "ş", "aa"}},
	{sqltype.BooleanType, []string{"true", "false"}},
	{sqltype.DateType, []string{"1969-12-31", "1970-01-01"}},
	{sqltype.TimeType(0), []string{"00:00:00.000", "23:59:59.000"}},
	{sqltype.TimestampType(3), []string{timestamp(-5), timestamp(70)}},
	{sqltype.TimestampLTZType(9), []string{timestamp(-5), timestamp(70)}},
}

// model computes a job's result the plain way: a list of the rows of each group, in the order in which the groups came.
type model struct {
	config window.Config
	groups []*modelGroup
	late   int
}

type modelGroup struct {
	start int64
	key   []string
	rows  [][]string // the cells of the arguments
}

func (m *model) read(split []row, delay int64) {
	newest := int64(math.MinInt64)
	for _, r := range split {
		ms, watermark := int64(0), eventtime.None
		if newest != math.MinInt64 {
			watermark = eventtime.Watermark(newest - delay)
		}
		if r.time != null {
			bits, _ := new(big.Int).SetString(r.time, 10)
			ms = bits.Rsh(bits, 64).Int64()
			newest = max(newest, ms)
		}
		start := m.config.Window.Start(ms)
		if m.config.Window.Expired(start, watermark) {
			m.late++
			continue
		}
		key, args := r.cells[:len(m.config.Keys)], r.cells[len(m.config.Keys):]
		at := slices.IndexFunc(m.groups, func(g *modelGroup) bool { return g.start == start && slices.Equal(g.key, key) })
		if at < 0 {
			at = len(m.groups)
			m.groups = append(m.groups, &modelGroup{start: start, key: key})
		}
		m.groups[at].rows = append(m.groups[at].rows, args)
	}
}

// result returns the rows that the job writes, by window and then by arrival.
func (m *model) result() [][]string {
	slices.SortStableFunc(m.groups, func(a, b *modelGroup) int { return int(a.start - b.start) })
	var rows [][]string
	for _, g := range m.groups {
		cells := slices.Clone(g.key)
		arg := 0
		for _, spec := range m.config.Aggregates {
			if spec.Arg.Kind == sqltype.Invalid {
				cells = append(cells, strconv.Itoa(len(g.rows)))
				continue
			}
			var values []string
			for _, r := range g.rows {
				if r[arg] != null {
					values = append(values, r[arg])
				}
			}
			cells = append(cells, aggregate(spec, values, m.config.Reduced))
			arg++
		}
		rows = append(rows, append(cells, timestamp(g.start), timestamp(g.start+m.config.Window.Size)))
	}
	return rows
}

// aggregate is an aggregate over the values of a group that are not NULL, in their order.
func aggregate(spec window.AggregateSpec, values []string, reduced bool) string {
	switch {
	case spec.Func == window.Count:
		return strconv.Itoa(len(values))
	case len(values) == 0:
		return null
	case spec.Func == window.Min || spec.Func == window.Max:
		return extremeOf(spec, values)
	case spec.Arg.Kind == sqltype.Decimal:
		return decimalOf(spec, values, reduced)
	case spec.Arg.IsInteger():
		return integerOf(spec, values, reduced)
	case spec.Arg.Kind == sqltype.Float && (reduced || spec.Func == window.Sum):
		return floatOf(spec, values, reduced)
	default:
		return doubleOf(spec, values, reduced)
	}
}

func extremeOf(spec window.AggregateSpec, values []string) string {
	best := values[0]
	for _, v := range values[1:] {
		wins := less(spec.Arg, v, best)
		if spec.Func == window.Max {
			wins = less(spec.Arg, best, v)
		}
		if wins {
			best = v
		}
	}
	return best
}

func less(t sqltype.Type, a, b string) bool {
	switch {
	case t.IsApproximate():
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return x < y
	case t.IsNumeric() || t.IsTimestamp():
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		return x.Cmp(y) < 0
	default: // the texts of BOOLEAN, DATE and TIME order as they do
		return a < b
	}
}

var integerBits = map[sqltype.Kind]uint{sqltype.TinyInt: 8, sqltype.SmallInt: 16, sqltype.Int: 32, sqltype.BigInt: 64}

func integerOf(spec window.AggregateSpec, values []string, reduced bool) string {
	sum := new(big.Int)
	for _, v := range values {
		n, _ := new(big.Int).SetString(v, 10)
		sum.Add(sum, n)
	}
	bits := integerBits[spec.Arg.Kind]
	if spec.Func == window.Sum {
		return wrap(sum, bits).String()
	}
	if reduced {
		sum = wrap(sum, bits)
	} else {
		sum = wrap(sum, 64)
	}
	return wrap(sum.Quo(sum, big.NewInt(int64(len(values)))), bits).String()
}

// wrap keeps the low bits of v as a two's complement number.
func wrap(v *big.Int, bits uint) *big.Int {
	modulus := new(big.Int).Lsh(big.NewInt(1), bits)
	half := new(big.Int).Rsh(modulus, 1)
	r := new(big.Int).Mod(new(big.Int).Add(v, half), modulus)
	return r.Sub(r, half)
}

func doubleOf(spec window.AggregateSpec, values []string, reduced bool) string {
	sum := 0.0
	if spec.Func == window.Sum && !reduced {
		sum = math.Copysign(0, -1) // what any value is added to without a change
	}
	for _, v := range values {
		n, _ := strconv.ParseFloat(v, 64)
		if spec.Arg.Kind == sqltype.Float {
			n = float64(float32(n))
		}
		sum += n
	}
	if spec.Func == window.Avg {
		sum /= float64(len(values))
	}
	if spec.Arg.Kind == sqltype.Float {
		return strconv.FormatFloat(float64(float32(sum)), 'g', -1, 32)
	}
	return strconv.FormatFloat(sum, 'g', -1, 64)
}

func floatOf(spec window.AggregateSpec, values []string, reduced bool) string {
	sum := float32(0)
	if spec.Func == window.Sum && !reduced {
		sum = float32(math.Copysign(0, -1))
	}
	for _, v := range values {
		n, _ := strconv.ParseFloat(v, 32)
		sum += float32(n)
	}
	if spec.Func == window.Avg {
		sum /= float32(len(values))
	}
	return strconv.FormatFloat(float64(sum), 'g', -1, 32)
}

func decimalOf(spec window.AggregateSpec, values []string, reduced bool) string {
	limit, _ := new(big.Rat).SetString("1e" + strconv.Itoa(38-spec.Arg.Scale))
	sum := new(big.Rat)
	for i, v := range values {
		n, _ := new(big.Rat).SetString(v)
		sum.Add(sum, n)
		if new(big.Rat).Abs(sum).Cmp(limit) < 0 {
			continue
		}
		if spec.Func == window.Sum && !reduced && i+1 < len(values) {
			return decimalOf(spec, values[i+1:], reduced)
		}
		return null
	}
	if spec.Func == window.Sum {
		return sum.FloatString(spec.Arg.Scale)
	}
	// big.Rat rounds half away from zero, as Flink does. Few values make no quotient that two roundings would change.
	text := sum.Quo(sum, big.NewRat(int64(len(values)), 1)).FloatString(max(6, spec.Arg.Scale))
	if digits := strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(text), "0"); len(digits) > 38 {
		return null
	}
	return text
}

func drawAggregates(t *rapid.T) (specs []window.AggregateSpec, domains [][]string) {
	for i := range rapid.IntRange(0, 5).Draw(t, "aggregates") {
		spec := window.AggregateSpec{
			Name: fmt.Sprint("a", i),
			Func: rapid.SampledFrom([]string{window.Count, window.Sum, window.Min, window.Max, window.Avg}).Draw(t, "function"),
		}
		arg := rapid.SampledFrom(arguments).Draw(t, "argument")
		_, err := window.ResultType(spec.Func, arg.typ)
		if err == nil && (spec.Func != window.Count || !rapid.Bool().Draw(t, "star")) {
			spec.Arg = arg.typ
			domains = append(domains, append([]string{null}, arg.values...))
		} else {
			spec.Func = window.Count
		}
		specs = append(specs, spec)
	}
	return specs, domains
}

// drawJob makes a job, the splits that it reads, and the result that it must have.
func drawJob(t *rapid.T) (p pipeline, splits [][]row, m model) {
	var keys sqltype.Schema
	keyDomains := [][]string{{null, "", "a", "b"}, {null, "0", "-0", "NaN"}, {"1", "2"}}
	for i, typ := range []sqltype.Type{sqltype.StringType, sqltype.DoubleType, sqltype.IntType} {
		keys = append(keys, sqltype.Column{Name: fmt.Sprint("k", i), Type: typ})
	}
	var domains [][]string
	n := rapid.IntRange(0, len(keys)).Draw(t, "keys")
	p = pipeline{
		config:     window.Config{Keys: keys[:n], Reduced: rapid.Bool().Draw(t, "reduced"), Window: drawWindow(t)},
		timeType:   sqltype.TimestampType(3),
		subtasks:   rapid.IntRange(1, 3).Draw(t, "subtasks"),
		batchSizes: func() int { return rapid.IntRange(1, 9).Draw(t, "batch") },
	}
	p.delay = rapid.Int64Range(0, 2*p.config.Window.Size).Draw(t, "delay")
	splitCount := rapid.IntRange(1, 2).Draw(t, "splits")
	if splitCount == 1 { // else the order of rows, which sums depend on, hangs on the sizes of batches
		p.config.Aggregates, domains = drawAggregates(t)
	}
	domains = append(slices.Clone(keyDomains[:n]), domains...)

	m = model{config: p.config}
	for range splitCount {
		split := drawSplit(t, p.config.Window.Size, domains)
		m.read(split, p.delay)
		splits = append(splits, split)
	}
	return p, splits, m
}

// The result of a job is that of the model, in the model's order, whatever the sizes of batches; with several subtasks, the
// same rows.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, splits, m := drawJob(t)
		results, late := p.run(t, splits)
		got, want := p.newest(t, textRows(results)), m.result()
		if p.subtasks > 1 || len(splits) > 1 || p.config.Window.Lateness > 0 {
			slices.SortFunc(got, slices.Compare)
			slices.SortFunc(want, slices.Compare)
		}
		if late != m.late || !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("%d late rows, want %d; got\n%s\nwant\n%s", late, m.late, lines(got), lines(want))
		}
	})
}

func lines(rows [][]string) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%q\n", r)
	}
	return b.String()
}

func drawSplit(t *rapid.T, size int64, domains [][]string) []row {
	origin := rapid.SampledFrom([]int64{0, 1_741_089_349_000, time.Date(2021, 11, 7, 8, 30, 0, 0, time.UTC).UnixMilli()}).Draw(t, "origin")
	near := rapid.Int64Range(-3*size, 3*size)
	rows := make([]row, rapid.IntRange(0, 30).Draw(t, "rows"))
	for i := range rows {
		rows[i].time = null
		if rapid.IntRange(0, 9).Draw(t, "null") > 0 {
			rows[i].time = timestamp(origin + near.Draw(t, "time"))
		}
		for _, d := range domains {
			rows[i].cells = append(rows[i].cells, rapid.SampledFrom(d).Draw(t, "cell"))
		}
	}
	return rows
}
