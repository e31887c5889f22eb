// Package javamath computes exp, log, log10 and pow so exactly that nearly always the result is the double nearest to the true value.
//
// The JVM's own versions (Intel's libm) are within a hair of that, while Go's differ in the last digit for a few values in a hundred, which shows
// when Flink's output is compared byte by byte. The computation is in pairs of doubles, about 100 bits (Dekker, A floating-point technique for
// extending the available precision, 1971). The package is pure.
package javamath

import "math"

// pair is the unevaluated sum hi + lo, |lo| at most half a unit of hi's last place.
type pair struct{ hi, lo float64 }

func sum(a, b float64) pair {
	s := a + b
	t := s - a
	return pair{s, (a - (s - t)) + (b - t)}
}

func product(a, b float64) pair {
	p := a * b
	return pair{p, math.FMA(a, b, -p)}
}

func (x pair) add(y pair) pair {
	s := sum(x.hi, y.hi)
	return sum(s.hi, s.lo+(x.lo+y.lo))
}

func (x pair) mul(y pair) pair {
	p := product(x.hi, y.hi)
	return sum(p.hi, p.lo+(x.hi*y.lo+x.lo*y.hi))
}

func (x pair) div(y pair) pair {
	q := x.hi / y.hi
	r := x.add(y.mul(pair{-q, 0}))
	return sum(q, (r.hi+r.lo)/y.hi)
}

// Constants in more digits than a pair holds; the compiler computes exactly.
const (
	ln2        = 0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863326996418687
	ln2Hi      = 0x1.62e42fefa39efp-1
	log10e     = 0.434294481903251827651128918916605082294397005803666566114453783165864649208870774729224949338431748
	log10eHi   = 0x1.bcb7b1526e50ep-2
	expTerms   = 9  // of the series for |r| < 0.0014
	logTerms   = 21 // of the series for |s| < 0.172
	halvings   = 8
	exponentOf = 745.2 // e^±this leaves the doubles
)

// logPair returns ln x for a positive, finite x.
func logPair(x float64) pair {
	m, k := math.Frexp(x) // x = m * 2^k, m in [0.5, 1)
	if m < math.Sqrt2/2 {
		m, k = m*2, k-1
	}
	// ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …), s = (m - 1) / (m + 1)
	s := pair{m - 1, 0}.div(sum(m, 1))
	square := s.mul(s)
	series := pair{}
	for i := logTerms; i >= 0; i-- {
		series = series.mul(square).add(pair{1, 0}.div(pair{float64(2*i + 1), 0}))
	}
	series = series.mul(s)
	return pair{ln2Hi, ln2 - ln2Hi}.mul(pair{float64(k), 0}).add(pair{2 * series.hi, 2 * series.lo})
}

// expPair returns the double nearest to e^x, |x| within exponentOf.
func expPair(x pair) float64 {
	k := math.Round(x.hi / ln2)
	r := x.add(pair{ln2Hi, ln2 - ln2Hi}.mul(pair{-k, 0}))
	r = pair{math.Ldexp(r.hi, -halvings), math.Ldexp(r.lo, -halvings)}
	// e^r - 1 = r (1 + r/2 (1 + r/3 (…))); the 1 is kept apart, or its size would cost digits.
	series := pair{}
	for i := expTerms; i >= 1; i-- {
		series = series.add(pair{1, 0}).mul(r).div(pair{float64(i), 0})
	}
	for range halvings { // (1 + s)² - 1 = s (2 + s)
		series = series.mul(series.add(pair{2, 0}))
	}
	e := series.add(pair{1, 0})
	return math.Ldexp(e.hi, int(k)) // hi is hi + lo, rounded
}

// Log returns the natural logarithm of x: NaN below 0, -Inf at 0.
func Log(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) {
		return math.Log(x)
	}
	return logPair(x).hi
}

// Log10 returns the decimal logarithm of x.
func Log10(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) {
		return math.Log10(x)
	}
	return logPair(x).mul(pair{log10eHi, log10e - log10eHi}).hi
}

// Exp returns e^x.
func Exp(x float64) float64 {
	switch {
	case math.IsNaN(x):
		return x
	case x > exponentOf:
		return math.Inf(1)
	case x < -exponentOf:
		return 0
	}
	return expPair(pair{x, 0})
}

// Pow returns x^y with Java's special cases, of which one is not Go's: 1 and -1 to the power of NaN or an infinity are NaN.
func Pow(x, y float64) float64 {
	switch {
	case y == 0:
		return 1
	case math.IsNaN(x) || math.IsNaN(y), math.Abs(x) == 1 && math.IsInf(y, 0):
		return math.NaN()
	case x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0):
		return math.Pow(x, y)
	case y == 1:
		return x
	case y == 2: // as Java's own does, rounded once also half-way between two doubles
		return x * x
	}
	negative := false
	if x < 0 {
		if y != math.Trunc(y) {
			return math.NaN()
		}
		x, negative = -x, math.Mod(y, 2) != 0
	}
	r := powPositive(x, y)
	if negative {
		return -r
	}
	return r
}

func powPositive(x, y float64) float64 {
	l := logPair(x)
	switch estimate := l.hi * y; {
	case estimate > exponentOf:
		return math.Inf(1)
	case estimate < -exponentOf-1:
		return 0
	}
	return expPair(l.mul(pair{y, 0}))
}
