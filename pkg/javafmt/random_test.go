package javafmt_test

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// randomDouble draws from all the places where layouts and digits are decided: any bits, any binary exponent with
// few or many bits set, integers, powers of two, decimals of few digits and their neighbours, products as the
// reference job computes them.
func randomDouble(random *rand.Rand) float64 {
	switch random.IntN(8) {
	case 0:
		return math.Float64frombits(random.Uint64())
	case 1: // one binary exponent is as likely as another, the common ones above all
		return math.Ldexp(1+random.Float64(), random.IntN(74)-12)
	case 2: // few bits
		return math.Ldexp(float64(random.Uint32()>>random.IntN(32)), random.IntN(2098)-1074)
	case 3:
		return float64(random.Int64() >> random.IntN(63))
	case 4: // a decimal, or a neighbour of one
		text := strconv.FormatUint(random.Uint64()>>random.IntN(64), 10) + "e" + strconv.Itoa(random.IntN(660)-345)
		x, _ := strconv.ParseFloat(text, 64)
		return math.Float64frombits(math.Float64bits(x) + uint64(random.IntN(3)))
	case 5: // a decimal of everyday size
		x := float64(random.Int64N(1e15)>>random.IntN(50)) / math.Pow10(random.IntN(12))
		return math.Float64frombits(math.Float64bits(x) + uint64(random.IntN(3)))
	case 6:
		return float64(random.Int64N(1e10)) * (1 + float64(random.IntN(100))/100)
	default: // subnormal
		return math.Float64frombits(random.Uint64() >> (12 + random.IntN(52)))
	}
}

// randomFloat draws floats of the same kinds.
func randomFloat(random *rand.Rand) float32 {
	switch random.IntN(4) {
	case 0:
		return float32(randomDouble(random))
	case 1:
		return float32(float64(random.Int64N(1e8)>>random.IntN(26)) / math.Pow10(random.IntN(12)))
	case 2:
		return float32(math.Ldexp(1+random.Float64(), random.IntN(74)-12))
	default:
		return math.Float32frombits(random.Uint32())
	}
}
