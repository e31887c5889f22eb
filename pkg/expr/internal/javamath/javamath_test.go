package javamath

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// e^(ln x) is x again within a unit of the last place, which math.Log and math.Exp do not promise.
func TestInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-300, 1e300).Draw(t, "x")
		back := expPair(logPair(x))
		if math.Abs(back-x) > math.Nextafter(x, math.Inf(1))-x {
			t.Fatalf("exp(log(%v)) = %v", x, back)
		}
	})
}

// Whole powers agree with exact multiplication.
func TestPowExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
		n := rapid.IntRange(1, 12).Draw(t, "n")
		exact := big.NewFloat(1).SetPrec(2000)
		for range n {
			exact.Mul(exact, new(big.Float).SetPrec(2000).SetFloat64(x))
		}
		want, _ := exact.Float64()
		if got := Pow(x, float64(n)); got != want && math.Abs(want) > 1e-300 && !halfWay(exact, got, want) {
			t.Fatalf("%v^%d = %v, want %v", x, n, got, want)
		}
	})
}

// halfWay reports whether a value lies so near the middle of two neighbouring doubles that either is its right rounding.
func halfWay(exact *big.Float, a, b float64) bool {
	middle := new(big.Float).SetPrec(2000).SetFloat64(a)
	middle.Mul(middle.Add(middle, big.NewFloat(b)), big.NewFloat(0.5))
	off, _ := middle.Quo(middle.Sub(middle, exact), exact).Float64()
	return math.Nextafter(a, b) == b && math.Abs(off) < 0x1p-80
}

// Squares are rounded as a product is, half-way values too.
func TestSquare(t *testing.T) {
	for _, x := range []float64{47104.00048828125, -47104.00048828125, 3, 1e200, 1e-200} {
		if got := Pow(x, 2); got != x*x {
			t.Errorf("%v^2 = %v, want %v", x, got, x*x)
		}
	}
}

func TestSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct{ got, want float64 }{
		{Exp(0), 1}, {Exp(inf), inf}, {Exp(-inf), 0}, {Exp(710), inf}, {Exp(-746), 0}, {Exp(nan), nan}, {Exp(1), math.E},
		{Log(0), -inf}, {Log(-1), nan}, {Log(1), 0}, {Log(inf), inf}, {Log10(1000), 3}, {Log10(1e-5), -5}, {Log10(0), -inf},
		{Pow(2, 10), 1024}, {Pow(0, -1), inf}, {Pow(-2, 3), -8}, {Pow(-2, 0.5), nan}, {Pow(1, nan), nan}, {Pow(-1, inf), nan}, {Pow(nan, 0), 1}, {Pow(10, 400), inf}, {Pow(10, -400), 0}, {Pow(4, 0.5), 2},
	} {
		if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func BenchmarkPow(b *testing.B) {
	sum := 0.0
	for b.Loop() {
		sum += Pow(18.75, 1.25)
	}
	if sum == 0 {
		b.Fatal(sum)
	}
}
