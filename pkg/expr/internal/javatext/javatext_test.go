package javatext

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The upper and lower case of every character are those of JDK 17.0.15: the digest is of a listing that it printed.
func TestCaseOfAllCharacters(t *testing.T) {
	const want = "6a5e7cdc447a61ea8d6acac70fdcc8b132fcf50f8935aae3bd6bc0cac2d7aa78"
	listing := sha256.New()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		s := []byte(string(r))
		upper, lower := AppendUpper(nil, s), AppendLower(nil, s)
		if string(upper) == string(s) && string(lower) == string(s) {
			continue
		}
		fmt.Fprintf(listing, "%d|", r)
		for _, u := range string(upper) {
			fmt.Fprintf(listing, "%d ", u)
		}
		fmt.Fprint(listing, "|")
		for _, l := range string(lower) {
			fmt.Fprintf(listing, "%d ", l)
		}
		fmt.Fprint(listing, "\n")
	}
	if got := hex.EncodeToString(listing.Sum(nil)); got != want {
		t.Fatalf("digest %s, want %s", got, want)
	}
}

func TestFinalSigma(t *testing.T) {
	for in, want := range map[string]string{
		"ΣΑΣ": "σας", "Σ": "σ", "ΑΣ ΑΣΑ": "ας ασα", "ΑΣ1": "ας1", "A.Σ": "a.ς", "ΟΔΥΣΣΕΥΣ": "οδυσσευς", "İI": "i̇i", "straße": "straße",
	} {
		if got := string(AppendLower(nil, []byte(in))); got != want {
			t.Errorf("lower(%s) = %s, want %s", in, got, want)
		}
	}
}

// LIKE with % and _ agrees with the plain recursive definition.
func TestLike(t *testing.T) {
	var match func(p, s []rune) bool
	match = func(p, s []rune) bool {
		switch {
		case len(p) == 0:
			return len(s) == 0
		case p[0] == '%':
			return match(p[1:], s) || len(s) > 0 && match(p, s[1:])
		}
		return len(s) > 0 && (p[0] == '_' || p[0] == s[0]) && match(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching("[ab%_ş]{0,8}").Draw(t, "pattern")
		s := rapid.StringMatching("[abş]{0,10}").Draw(t, "s")
		p, err := CompileLike([]byte(pattern), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Match([]byte(s)), match([]rune(pattern), []rune(s)); got != want {
			t.Fatalf("%q LIKE %q = %v", s, pattern, got)
		}
	})
}

// UTF-16 and back is the same text.
func TestUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if !utf8.ValidString(s) {
			return
		}
		back, ok := AppendUnits(nil, Units([]byte(s)))
		if !ok || string(back) != s {
			t.Fatalf("%q became %q, %v", s, back, ok)
		}
		for _, charset := range []string{"UTF-8", "UTF-16", "UTF-16LE", "utf-16be"} {
			encoded, _ := Encode(nil, []byte(s), charset)
			if decoded, ok := Decode(nil, encoded, charset); !ok || string(decoded) != s {
				t.Fatalf("%s: %q became %q", charset, s, decoded)
			}
		}
	})
}
