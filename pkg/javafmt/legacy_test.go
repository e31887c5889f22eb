package javafmt

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Within the bounds of the quick way both ways agree.
func TestQuickWayIsLegacyWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(shortestFrom, math.Nextafter(shortestDoubleTo, 0)).Draw(t, "double")
		if rapid.Bool().Draw(t, "few digits") {
			x = max(shortestFrom, math.Round(math.Mod(x, 1e9)*1000)/1000)
		}
		got, want := AppendDouble(nil, x), appendScientific(nil, legacyDigits(math.Float64bits(x), 52))
		if string(got) != string(want) {
			t.Fatalf("%v: quick %s, legacy %s", x, got, want)
		}
		y := rapid.Float32Range(shortestFrom, math.Nextafter32(shortestFloatTo, 0)).Draw(t, "float")
		got, want = AppendFloat(nil, y), appendScientific(nil, legacyDigits(uint64(math.Float32bits(y)), 23))
		if string(got) != string(want) {
			t.Fatalf("%v: quick %s, legacy %s", y, got, want)
		}
	})
}
