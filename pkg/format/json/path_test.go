package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pencere/pkg/format/json"

	"pgregory.net/rapid"
)

// drawValue makes the text of a JSON value with blanks in places, repeated names, and escapes.
func drawValue(t *rapid.T, depth int) string {
	blank := rapid.SampledFrom([]string{"", "", "", " ", "\n\t"})
	kind := rapid.SampledFrom([]byte("sooa")).Draw(t, "kind")
	if depth == 0 {
		kind = 's'
	}
	switch kind {
	case 'o':
		var members []string
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			name := rapid.SampledFrom([]string{`"a"`, `"a"`, `"\u0061"`, `"b"`, `"ü"`, `""`, `"a b"`, `"}"`, `"\""`}).Draw(t, "name")
			members = append(members, blank.Draw(t, "")+name+blank.Draw(t, "")+":"+blank.Draw(t, "")+drawValue(t, depth-1)+blank.Draw(t, ""))
		}
		return "{" + blank.Draw(t, "") + strings.Join(members, ",") + "}"
	case 'a':
		var elements []string
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			elements = append(elements, blank.Draw(t, "")+drawValue(t, depth-1)+blank.Draw(t, ""))
		}
		return "[" + blank.Draw(t, "") + strings.Join(elements, ",") + "]"
	default:
		return rapid.SampledFrom([]string{"1", "-0.5e3", "true", "null", `"x]}\\\""`, `"ü\n"`}).Draw(t, "scalar")
	}
}

// A value is found where a walk with encoding/json finds it, text for text.
func TestFindProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawValue(t, 4)
		var finder json.Finder
		want, written := stdjson.RawMessage(text), "$"
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			array := len(want) > 0 && bytes.TrimLeft(want, " \t\n")[0] == '['
			if rapid.IntRange(0, 9).Draw(t, "other kind") == 0 {
				array = !array
			}
			if array {
				index := rapid.IntRange(-4, 3).Draw(t, "index")
				written += fmt.Sprintf("[%d]", index)
				want = elementOf(want, index)
			} else {
				name := rapid.SampledFrom([]string{"a", "a", "a", "b", "ü", "", "a b", "}", `"`}).Draw(t, "name")
				if plain := strings.ContainsAny(name, "ab") && len(name) == 1; plain && rapid.Bool().Draw(t, "dot") {
					written += "." + name
				} else {
					written += "['" + name + "']"
				}
				want = memberOf(want, name)
			}
		}
		path, err := json.ParsePath(written)
		if err != nil {
			t.Fatal(err)
		}
		value, err := finder.Check([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := finder.Find(value, path); (got == nil) != (want == nil) || !bytes.Equal(got, bytes.Trim(want, " \t\r\n")) {
			t.Fatalf("%s in %s is %q, want %q", written, text, got, want)
		}
	})
}

// memberOf returns the last member of that name, by encoding/json.
func memberOf(object stdjson.RawMessage, name string) stdjson.RawMessage {
	var members map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(object, &members); err != nil {
		return nil
	}
	return members[name]
}

func elementOf(array stdjson.RawMessage, index int) stdjson.RawMessage {
	var elements []stdjson.RawMessage
	if err := stdjson.Unmarshal(array, &elements); err != nil {
		return nil
	}
	if index < 0 {
		index += len(elements)
	}
	if index < 0 || index >= len(elements) {
		return nil
	}
	return elements[index]
}

func TestParsePathRefuses(t *testing.T) {
	for path, part := range map[string]string{
		"": "name is missing", "$.": "name is missing", "$.a.": "name is missing", "$a": "expected '.' or '['", "$.a b": "blank", " $.a": "blank", "lax": "", "lax ": "",
		"$.*": "several", "$..a": "several", "$.a[*]": "several", "$.*.a": "several", "$.a[0:1]": "several", "$[0,1]": "several", "$['a','b']": "several",
		"$[?(@.a)]": "filters", "$.a()": "functions", "$.size()": "functions", "$[": "']' is missing", "$[1": "']' is missing", "$['a'": "']' is missing", "$['a' x]": "']' is missing",
		"$['a": "not closed", `$['a\`: "not closed", `$['a\']`: "not closed", `$['\u12']`: "hexadecimal", "$[a]": "neither", "$[+1]": "neither", "$[]": "neither", "$[1.5]": "neither", "$[2147483648]": "neither",
		"$['a']b": "expected", "$" + strings.Repeat("[0]", 101): "more than 100 steps",
	} {
		_, err := json.ParsePath(path)
		if refused := part != ""; (err != nil) != refused || refused && !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: %v, want %q", path, err, part)
		}
	}
}

// No path and no text makes a Finder panic or hang; what Check takes, encoding/json takes, and what is found is JSON again.
func FuzzFind(f *testing.F) {
	for i, seed := range seeds {
		f.Add([]byte(seed), []string{"$", "$.s", "$.s.a[1]", "lax $['x']", "$[-1]", "$.x.y[2].z"}[i%6])
	}
	f.Fuzz(func(t *testing.T, text []byte, written string) {
		if len(text) > 1<<14 || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > 10_000 {
			return // too deep for encoding/json
		}
		path, err := json.ParsePath(written)
		if err != nil {
			return
		}
		var finder json.Finder
		value, err := finder.Check(text)
		whole, bad := finder.Whole(text)
		if want := stdjson.Valid(text) && utf8.Valid(text); (bad == nil) != want || want && !bytes.Equal(whole, value) {
			t.Fatalf("%q: %v", text, bad)
		}
		if err != nil {
			return
		}
		found := bytes.Clone(finder.Find(value, path))
		if found == nil {
			return
		}
		if !stdjson.Valid(found) {
			t.Fatalf("%s in %q is %q", written, text, found)
		}
		if anew := finder.AppendValue(nil, found, true); !stdjson.Valid(anew) {
			t.Fatalf("%q anew is %q", found, anew)
		}
		if found[0] == '"' && !utf8.Valid(json.AppendScalar(nil, found)) {
			t.Fatalf("%q has a text that is not UTF-8", found)
		}
	})
}

func TestAppendScalar(t *testing.T) {
	for value, want := range map[string]string{
		`"a\u0041\n\/"`: "aA\n/", `"\ud800x\udc00"`: "?x?", `"ü\ud83d\ude00"`: "ü😀", `""`: "",
		"1": "1", "-0": "0", "-0.0": "-0.0", "1.50": "1.5", "1e3": "1000.0", "1E400": "Infinity", "12345678901234567890123": "12345678901234567890123", "true": "true",
	} {
		if got := json.AppendScalar([]byte("ü|"), []byte(value)); string(got) != "ü|"+want {
			t.Errorf("%s is %q, want %q", value, got, want)
		}
	}
}
