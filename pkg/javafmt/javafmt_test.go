package javafmt_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"pencere/pkg/javafmt"

	"pgregory.net/rapid"
)

func TestAppendDouble(t *testing.T) {
	for want, x := range map[string]float64{
		"0.0": 0, "-0.0": math.Copysign(0, -1), "NaN": math.NaN(),
		"Infinity": math.Inf(1), "-Infinity": math.Inf(-1),
		"0.18": 0.18, "21240.0": 21240, "-7.5": -7.5, "1.0": 1,
		"0.001": 1e-3, "9.999999999999998E-4": math.Nextafter(1e-3, 0), "1.0E-4": 1e-4,
		"9999999.0": 9999999, "9999999.999999998": math.Nextafter(1e7, 0), "1.0E7": 1e7, "1.0000000000000002E7": math.Nextafter(1e7, 1e8),
		"1.95E8": 195_000_000, "1.00000005E7": 10_000_000.5,
		"55000.00000000001": 55000.00000000001, "1959999.9999999998": 1959999.9999999998, "0.30000000000000004": 0.30000000000000004,
		"9.007199254740992E15": 1 << 53, "1.8014398509481982E16": 1<<54 - 2, "1.8014398509481984E16": 1 << 54,
		"1.23456789012345677E18": 1234567890123456789, // not the shortest
		"9.223372036854776E18":   1 << 63,
		"1.9999999999999998E23":  2e23, "9.999999999999999E22": 1e23, "8.409999999999999E21": 8.41e21,
		"4.9E-324": math.SmallestNonzeroFloat64, "2.2250738585072014E-308": 0x1p-1022, "1.7976931348623157E308": math.MaxFloat64,
		"9.5367431640625E-7": 0x1p-20,
	} {
		if got := string(javafmt.AppendDouble(nil, x)); got != want {
			t.Errorf("AppendDouble(%v) = %s, want %s", x, got, want)
		}
	}
}

func TestAppendFloat(t *testing.T) {
	for want, x := range map[string]float32{
		"0.0": 0, "NaN": float32(math.NaN()), "-Infinity": float32(math.Inf(-1)),
		"0.1": 0.1, "16777.217": 16777.217, "1.6777216E7": 1 << 24, "0.001": 1e-3, "9.999E-4": 9.999e-4,
		"1.10000005E10": 1.1e10, "9.9999998E17": 1e18, // not the shortest
		"1.4E-45": math.SmallestNonzeroFloat32, "3.4028235E38": math.MaxFloat32, "1.17549435E-38": 0x1p-126,
	} {
		if got := string(javafmt.AppendFloat(nil, x)); got != want {
			t.Errorf("AppendFloat(%v) = %s, want %s", x, got, want)
		}
	}
}

// Every text reads back as the number, in one of Java's two layouts.
func TestDoubleReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := randomDouble(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		text := string(javafmt.AppendDouble([]byte("x"), x))[1:]
		if back, err := strconv.ParseFloat(text, 64); math.Float64bits(back) != math.Float64bits(x) && !math.IsNaN(x) {
			t.Fatalf("%s reads back as %v, not %v: %v", text, back, x, err)
		}
		checkLayout(t, text, x)
	})
}

func TestFloatReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := randomFloat(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		text := string(javafmt.AppendFloat([]byte("x"), x))[1:]
		if back, err := strconv.ParseFloat(text, 32); float32(back) != x && !math.IsNaN(float64(x)) {
			t.Fatalf("%s reads back as %v, not %v: %v", text, back, x, err)
		}
		checkLayout(t, text, float64(x))
	})
}

func checkLayout(t *rapid.T, text string, x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return
	}
	mantissa, exponent, scientific := strings.Cut(text, "E")
	if x = math.Abs(x); scientific != (x != 0 && x < 1e-3 || x >= 1e7) {
		t.Fatalf("%s: wrong layout for its size", text)
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	if !point || whole == "" || fraction == "" {
		t.Fatalf("%s: no digit beside the point", text)
	}
	if scientific && (len(whole) != 1 || whole == "0" || strings.HasPrefix(exponent, "+")) {
		t.Fatalf("%s: not computerized scientific notation", text)
	}
}

func TestAppendLong(t *testing.T) {
	check := func(x int64) {
		if got, want := string(javafmt.AppendLong([]byte("x"), x)), "x"+strconv.FormatInt(x, 10); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for power := uint64(1); ; power *= 10 {
		for _, x := range []int64{int64(power - 1), int64(power), int64(power + 1), int64(9 * power)} {
			check(x)
			check(-x)
		}
		if power > math.MaxUint64/10 {
			break
		}
	}
	for shift := range 64 {
		check(math.MinInt64 >> shift)
		check(math.MaxInt64 >> shift)
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.Int64().Draw(t, "x")) })
}

func TestNoAllocations(t *testing.T) {
	dst := make([]byte, 0, 64)
	for _, x := range []float64{0, 0.18, 21240, 55000.00000000001, 1.95e8, 1.8014398509481982e16} {
		if n := testing.AllocsPerRun(10, func() { javafmt.AppendDouble(dst, x) }); n != 0 {
			t.Errorf("AppendDouble(%v) allocates %v times", x, n)
		}
		if n := testing.AllocsPerRun(10, func() { javafmt.AppendFloat(dst, float32(x)) }); n != 0 && x < 1<<25 {
			t.Errorf("AppendFloat(%v) allocates %v times", x, n)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(uint64(0x3fc70a3d70a3d70a))
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, pattern uint64) {
		x := math.Float64frombits(pattern)
		if back, _ := strconv.ParseFloat(string(javafmt.AppendDouble(nil, x)), 64); back != x && !math.IsNaN(x) {
			t.Fatalf("%v reads back as %v", x, back)
		}
		y := math.Float32frombits(uint32(pattern))
		if back, _ := strconv.ParseFloat(string(javafmt.AppendFloat(nil, y)), 32); float32(back) != y && !math.IsNaN(float64(y)) {
			t.Fatalf("%v reads back as %v", y, back)
		}
	})
}

func BenchmarkAppendLong(b *testing.B) {
	dst := make([]byte, 0, 64)
	for i := 0; b.Loop(); i++ {
		javafmt.AppendLong(dst, int64(i&0xfffff)*1001)
	}
}

func BenchmarkAppendDouble(b *testing.B) {
	for _, c := range []struct {
		name  string
		value func(*rand.Rand) float64
	}{
		{"rate", func(r *rand.Rand) float64 { return float64(r.IntN(100)) / 100 }},
		{"price", func(r *rand.Rand) float64 { return float64(r.IntN(100_000_000)) }},
		{"price_with_kdv", func(r *rand.Rand) float64 {
			return float64(r.IntN(100_000_000)) * (1 + float64(r.IntN(100))/100)
		}},
		{"17digits", func(r *rand.Rand) float64 { return r.Float64() * 1e6 }},
		{"17digitsE", func(r *rand.Rand) float64 { return r.Float64() * 1e15 }},
		{"beyond2^54", func(r *rand.Rand) float64 { return r.Float64() * 1e18 }},
		{"1e-5", func(r *rand.Rand) float64 { return r.Float64() * 1e-5 }},
		{"anybits", func(r *rand.Rand) float64 { return math.Float64frombits(r.Uint64()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			var values [1024]float64
			for i := range values {
				values[i] = c.value(random)
			}
			dst := make([]byte, 0, 64)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				javafmt.AppendDouble(dst, values[i%len(values)])
			}
		})
	}
}
