package decimal

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pencere/pkg/javafmt"

	"pgregory.net/rapid"
)

// nums draws values of up to digits digits, many of them near the ends and short.
func nums(digits int) *rapid.Generator[Num] {
	return rapid.Custom(func(t *rapid.T) Num {
		n := rapid.IntRange(1, digits).Draw(t, "digits")
		text := rapid.StringMatching("[0-9]{"+strconv.Itoa(n)+"}").Draw(t, "value")
		if rapid.IntRange(0, 5).Draw(t, "shape") == 0 {
			text = strings.Repeat("9", n)
		}
		v, _ := new(big.Int).SetString(text, 10)
		return fromBig(v, rapid.Bool().Draw(t, "negative"))
	})
}

// roundBig returns r * 10^scale rounded half up, away from zero.
func roundBig(r *big.Rat, scale int) *big.Int {
	x := new(big.Rat).Mul(r, new(big.Rat).SetInt(pow10(max(scale, 0))))
	x.Quo(x, new(big.Rat).SetInt(pow10(max(-scale, 0))))
	twice := new(big.Int).Mul(x.Num(), big.NewInt(2))
	twice.Abs(twice).Add(twice, x.Denom())
	q := twice.Quo(twice, new(big.Int).Mul(x.Denom(), big.NewInt(2)))
	if x.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

func ratOf(v Num, scale int) *big.Rat {
	return new(big.Rat).SetFrac(v.BigInt(), pow10(scale))
}

func check(t *rapid.T, what string, got Num, ok bool, want *big.Int, precision int) {
	fits := digits(want) <= precision
	if ok != fits || ok && got.BigInt().Cmp(want) != 0 {
		t.Fatalf("%s = %v, %v; want %v, %v", what, got.BigInt(), ok, want, fits)
	}
}

func TestMul(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := nums(38).Draw(t, "a"), nums(38).Draw(t, "b")
		drop, precision := rapid.IntRange(0, 38).Draw(t, "drop"), rapid.IntRange(1, 38).Draw(t, "precision")
		got, ok := Mul(a, b, drop, precision)
		check(t, "product", got, ok, roundBig(new(big.Rat).Mul(ratOf(a, 0), ratOf(b, 0)), -drop), precision)
		x, y := rapid.Int64().Draw(t, "x"), rapid.Int64().Draw(t, "y")
		if want := new(big.Int).Mul(big.NewInt(x), big.NewInt(y)); Mul64(x, y).BigInt().Cmp(want) != 0 {
			t.Fatalf("%d * %d = %v", x, y, Mul64(x, y).BigInt())
		}
	})
}

func TestAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := nums(38).Draw(t, "a"), nums(38).Draw(t, "b")
		sa, sb := rapid.IntRange(0, 38).Draw(t, "sa"), rapid.IntRange(0, 38).Draw(t, "sb")
		to := Digits{rapid.IntRange(1, 38).Draw(t, "precision"), rapid.IntRange(0, max(sa, sb)).Draw(t, "scale")}
		exact := new(big.Rat).Add(ratOf(a, sa), ratOf(b, sb))
		got, ok := AddWide(a, sa, b, sb, to)
		check(t, "sum", got, ok, roundBig(exact, to.Scale), to.Precision)
		upA, upB := max(sa, sb)-sa, max(sa, sb)-sb
		sum := roundBig(exact, max(sa, sb))
		if digits(sum) <= 38 {
			if got := AddScaled(a, upA, b, upB); got.BigInt().Cmp(sum) != 0 {
				t.Fatalf("scaled sum = %v, want %v", got.BigInt(), sum)
			}
		}
	})
}

// A quotient is rounded to 38 significant digits, then to its scale.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := nums(38).Draw(t, "a"), nums(rapid.SampledFrom([]int{2, 18, 38}).Draw(t, "size")).Draw(t, "b")
		sa, sb := rapid.IntRange(0, 38).Draw(t, "sa"), rapid.IntRange(0, 38).Draw(t, "sb")
		to, precision := rapid.IntRange(0, 38).Draw(t, "to"), rapid.IntRange(1, 38).Draw(t, "precision")
		if b == (Num{}) {
			return
		}
		exact := new(big.Rat).Quo(ratOf(a, sa), ratOf(b, sb))
		first := exact
		if exact.Sign() != 0 {
			// the scale that leaves 38 digits before rounding
			scale := -150
			for digits(new(big.Int).Quo(truncated(exact, scale+1), big.NewInt(1))) <= 38 && truncated(exact, scale+1).CmpAbs(pow10(38)) < 0 {
				scale++
			}
			rounded := roundBig(exact, scale)
			first = new(big.Rat).Mul(new(big.Rat).SetInt(rounded), new(big.Rat).SetFrac(pow10(max(-scale, 0)), pow10(max(scale, 0))))
		}
		got, ok := Divide(a, sa, b, sb, Digits{precision, to})
		check(t, "quotient", got, ok, roundBig(first, to), precision)
		r, ok, possible := Remainder(a, sa, b, sb, Digits{38, max(sa, sb)})
		quotient := truncated(exact, 0)
		if possible != (digits(quotient) <= 38) {
			t.Fatalf("remainder possible = %v for a quotient %v", possible, quotient)
		}
		if want := new(big.Rat).Sub(ratOf(a, sa), new(big.Rat).Mul(new(big.Rat).SetInt(quotient), ratOf(b, sb))); ok && ratOf(r, max(sa, sb)).Cmp(want) != 0 {
			t.Fatalf("remainder = %v, want %v", ratOf(r, max(sa, sb)), want)
		}
	})
}

func truncated(r *big.Rat, scale int) *big.Int {
	x := new(big.Rat).Mul(r, new(big.Rat).SetFrac(pow10(max(scale, 0)), pow10(max(-scale, 0))))
	return new(big.Int).Quo(x.Num(), x.Denom())
}

func TestScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := nums(38).Draw(t, "v")
		from, to, precision := rapid.IntRange(0, 38).Draw(t, "from"), rapid.IntRange(0, 38).Draw(t, "to"), rapid.IntRange(1, 38).Draw(t, "precision")
		r := ratOf(v, from)
		got, ok := Rescale(v, from, to, precision)
		check(t, "rescaled", got, ok, roundBig(r, to), precision)
		if got, want := Truncate(v, from).BigInt(), truncated(r, 0); got.Cmp(want) != 0 {
			t.Fatalf("truncated = %v, want %v", got, want)
		}
		floor := new(big.Int).Div(r.Num(), r.Denom())
		if got := Floor(v, from).BigInt(); got.Cmp(floor) != 0 {
			t.Fatalf("floor = %v, want %v", got, floor)
		}
		ceil := new(big.Int).Neg(new(big.Int).Div(new(big.Int).Neg(r.Num()), r.Denom()))
		if got := Ceil(v, from).BigInt(); got.Cmp(ceil) != 0 {
			t.Fatalf("ceil = %v, want %v", got, ceil)
		}
		places := rapid.IntRange(-40, 40).Draw(t, "places")
		if want := roundBig(r, places); places <= from {
			want.Mul(want, pow10(from-places))
			if got := Round(v, from, places).BigInt(); want.BitLen() < 127 && got.Cmp(want) != 0 {
				t.Fatalf("rounded to %d = %v, want %v", places, got, want)
			}
		}
		w, scale := nums(38).Draw(t, "w"), rapid.IntRange(0, 38).Draw(t, "scale of w")
		if got, want := Compare(v, from, w, scale), r.Cmp(ratOf(w, scale)); got != want {
			t.Fatalf("compare = %d, want %d", got, want)
		}
	})
}

// What Append writes Parse and ParseCast read back.
func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, scale := nums(38).Draw(t, "v"), rapid.IntRange(0, 38).Draw(t, "scale")
		text := string(Append(nil, v, scale))
		if want := ratOf(v, scale).FloatString(scale); text != want && want != "-0" && !strings.HasPrefix(want, "-0.") {
			t.Fatalf("text %s, want %s", text, want)
		}
		if back, err := Parse(text, 38, scale); err != nil || back != v {
			t.Fatalf("Parse(%s) = %v, %v", text, back.BigInt(), err)
		}
		if len(text) <= 18 {
			if back, err := ParseCast(text, 18, min(scale, 17)); scale <= 17 && err == nil && back != v {
				t.Fatalf("ParseCast(%s) = %v", text, back.BigInt())
			}
		}
		want, _ := ratOf(v, scale).Float64()
		if got := Float64(v, 38, scale); got != want {
			t.Fatalf("Float64(%s) = %v, want %v", text, got, want)
		}
	})
}

// The quick ways of FromFloat64 and RoundFloat64 give what the printed decimal gives.
func TestFloats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(
			rapid.Float64(),
			rapid.Custom(func(t *rapid.T) float64 {
				return float64(rapid.Int64Range(-1e9, 1e9).Draw(t, "n")) / math.Pow10(rapid.IntRange(0, 12).Draw(t, "e"))
			}),
			rapid.Custom(func(t *rapid.T) float64 { // ties
				return (float64(rapid.Int64Range(-1e6, 1e6).Draw(t, "n")) + 0.5) / math.Pow10(rapid.IntRange(0, 6).Draw(t, "e"))
			}),
		).Draw(t, "x")
		if x-x != 0 {
			return
		}
		exact, ok := new(big.Rat).SetString(string(javafmt.AppendDouble(nil, x)))
		if !ok {
			t.Fatalf("%v does not print as a number", x)
		}
		precision := rapid.IntRange(1, 38).Draw(t, "precision")
		scale := rapid.IntRange(0, precision).Draw(t, "scale")
		got, fits := FromFloat64(x, precision, scale)
		check(t, "decimal of "+strconv.FormatFloat(x, 'g', -1, 64), got, fits, roundBig(exact, scale), precision)
		places := rapid.IntRange(-20, 20).Draw(t, "places")
		rounded := new(big.Rat).Mul(new(big.Rat).SetInt(roundBig(exact, places)), new(big.Rat).SetFrac(pow10(max(-places, 0)), pow10(max(places, 0))))
		want, _ := rounded.Float64()
		if r, _ := RoundFloat64(x, places); r != want || math.Signbit(r) != math.Signbit(want) {
			t.Fatalf("round(%v, %d) = %v, want %v", x, places, r, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.7", "-.5e3", "1e-400", "٧", "12.7x", "", "1e99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string, int, int) (Num, error){Parse, ParseCast} {
			for _, p := range []int{5, 18, 38} {
				if v, err := parse(s, p, p/2); err == nil && !Fits(v, p) {
					t.Fatalf("%q gives %v, which has more than %d digits", s, v.BigInt(), p)
				}
			}
		}
	})
}

func BenchmarkFromFloat64(b *testing.B) {
	for b.Loop() {
		if _, ok := FromFloat64(0.18, 4, 2); !ok {
			b.Fatal()
		}
	}
}
