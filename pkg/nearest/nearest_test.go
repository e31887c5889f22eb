package nearest_test

import (
	"testing"

	"pgregory.net/rapid"

	"pencere/pkg/nearest"
)

func TestName(t *testing.T) {
	columns := []string{"id", "product", "price", "price_with_kdv", "ürün"}
	for name, want := range map[string]string{
		"pric":           "price",
		"PRICE":          "price",
		"prcie":          "price",
		"price_with_kvd": "price_with_kdv",
		"price_kdv":      "",
		"ürun":           "ürün",
		"di":             "id",
		"xy":             "",
		"":               "",
		"price":          "",
	} {
		if got := nearest.Name(name, columns); got != want {
			t.Errorf("Name(%q) = %q, want %q", name, got, want)
		}
	}
}

// Distance is a number of edits: symmetric, 0 only for equal texts, at most the longer text, at least the difference in length.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.RuneFrom([]rune("abç")), 0, 8, -1)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := nearest.Distance(a, b)
		la, lb := len([]rune(a)), len([]rune(b))
		if d != nearest.Distance(b, a) || (d == 0) != (a == b) || d > max(la, lb) || d < max(la-lb, lb-la) {
			t.Fatalf("Distance(%q, %q) = %d", a, b, d)
		}
	})
}
