package json_test

import (
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func newDocuments(t testing.TB, onError json.OnError) *json.DocumentDecoder {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	d, err := json.NewDocumentDecoder("document", onError, alloc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Release()
		alloc.AssertSize(t, 0)
	})
	return d
}

func documents(d *json.DocumentDecoder) []string {
	batch := d.NewBatch()
	defer batch.Release()
	column := batch.Column(0).(*array.String)
	all := make([]string, column.Len())
	for i := range all {
		all[i] = strings.Clone(column.Value(i))
	}
	return all
}

func TestDocuments(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 50_000) + strings.Repeat(`]}`, 50_000)
	for _, c := range []struct{ message, want string }{
		{`{"b":1,"a":{"x":[1,2.50,1e400]},"b":"again"}`, `{"b":1,"a":{"x":[1,2.50,1e400]},"b":"again"}`},
		{" \t\r\n{ \"a\" :\n\t1 } \n", "{ \"a\" :\n\t1 }"},
		{`[1,{"a":null}]`, `[1,{"a":null}]`},
		{`"ünï\u0000\ud800"`, `"ünï\u0000\ud800"`},
		{`null`, `null`}, {`-0.0`, `-0.0`}, {`true`, `true`}, {` {}`, `{}`},
		{"\ufeff[1]", "[1]"}, {"\xff\xfe{\x00}\x00", "{}"},
		{deep, deep},
	} {
		d := newDocuments(t, json.Fail)
		outcome, err := d.Append([]byte(c.message))
		if err != nil || outcome != json.Appended || d.Len() != 1 {
			t.Fatalf("%.60q: %v, %v", c.message, outcome, err)
		}
		if got := documents(d)[0]; got != c.want {
			t.Errorf("%.60q is %.60q, want %.60q", c.message, got, c.want)
		}
	}
}

func TestBadDocuments(t *testing.T) {
	for _, c := range []struct {
		message string
		offset  int
		reason  string
	}{
		{" ", 1, "ends"}, {"{", 1, "ends"}, {`{"a":1}x`, 7, "text behind the value"}, {`{} {}`, 3, "text behind the value"}, {`{"a":1,}`, 7, "field name"},
		{"{\"a\":[\"x\ny\"]}", 8, "control character"}, {"{\"a\x01b\":1}", 3, "control character"}, {"\"12345678\x7f\x1f\"", 10, "control character"},
		{`{"a":"` + "\xc3(" + `"}`, 5, "UTF-8"}, {`{"` + "\xff" + `":1}`, 1, "UTF-8"}, {`["\x"]`, 1, "escape"}, {`["\u12g4"]`, 1, "escape"},
		{`{"a":01}`, 5, "malformed number"}, {`nul`, 0, "not a JSON value"}, {`nulll`, 4, "text behind"}, {`NaN`, 0, "not a JSON value"}, {`{a:1}`, 1, "double quotes"},
		{"\x00", 0, ""},
	} {
		d := newDocuments(t, json.Fail)
		_, err := d.Append([]byte(c.message))
		bad, ok := errors.AsType[*json.DecodeError](err)
		if !ok || bad.Offset != c.offset || !strings.Contains(bad.Reason, c.reason) || d.Len() != 0 {
			t.Errorf("%q: %v, want %q at %d", c.message, err, c.reason, c.offset)
		}
		for _, mode := range []json.OnError{json.Ignore, json.Skip} {
			d := newDocuments(t, mode)
			if outcome, err := d.Append([]byte(c.message)); outcome != json.Dropped || err != nil {
				t.Errorf("%q: %v, %v", c.message, outcome, err)
			}
			if _, err := d.Append([]byte("1")); err != nil {
				t.Error(err)
			}
			if got := documents(d); len(got) != 1 || got[0] != "1" || d.Stats() != (json.Stats{RowsAppended: 1, RecordsDropped: 1}) {
				t.Errorf("%q: %v, %+v", c.message, got, d.Stats())
			}
		}
	}
	d := newDocuments(t, json.Fail)
	if outcome, err := d.Append(nil); outcome != json.Empty || err != nil || d.Stats().MessagesEmpty != 1 {
		t.Errorf("no bytes: %v, %v", outcome, err)
	}
}

// A column of type JSON keeps its field's text, and a field that is not strictly JSON costs that field alone.
func TestJSONColumn(t *testing.T) {
	schema := sqltype.Schema{{Name: "j", Type: sqltype.JSONType}, {Name: "n", Type: sqltype.IntType}}
	d := newDecoder(t, schema, json.Options{OnError: json.Ignore})
	for _, message := range []string{
		`{"j": {"b": [1, {"a":1.50}] } , "n":1}`, `{"n":2,"j":"t\u00fc"}`, `{"n":3}`, `{"n":4,"j":null}`, "{\"j\":[\"a\tb\"],\"n\":5}", `{"j":1,"j":-0.10}`,
	} {
		if outcome, err := d.Append([]byte(message)); outcome != json.Appended || err != nil {
			t.Fatalf("%s: %v, %v", message, outcome, err)
		}
	}
	want := []string{`{"b": [1, {"a":1.50}] }|1`, `"t\u00fc"|2`, `(null)|3`, `(null)|4`, `(null)|5`, `-0.10|(null)`}
	if got := rows(d); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows %q, want %q", got, want)
	}
	if d.Stats().FieldsIgnored != 1 {
		t.Errorf("%+v", d.Stats())
	}
}

// A JSON sink writes the value, not a text.
func TestEncodeJSON(t *testing.T) {
	d := newDocuments(t, json.Fail)
	if _, err := d.Append([]byte(`{"a": [1, "x"]}`)); err != nil {
		t.Fatal(err)
	}
	batch := d.NewBatch()
	defer batch.Release()
	e, err := json.NewEncoder(sqltype.Schema{{Name: "document", Type: sqltype.JSONType}}, json.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.AppendRow(nil, batch, 0); err != nil || string(got) != `{"document":{"a": [1, "x"]}}` {
		t.Errorf("%s, %v", got, err)
	}
}

// A message is a document just if encoding/json takes it, and then it is kept as it came.
func FuzzDocument(f *testing.F) {
	for _, seed := range append(seeds, "\x01", "\"\x1f\"", "[\"\x00\"]", " 1 ", "{}x", "\"\xed\xa0\x80\"") {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) == 0 || len(message) > 1<<16 || message[0] != '{' && (strings.ContainsRune(string(message[:min(4, len(message))]), 0) || message[0] >= 0xef) ||
			len(message) > 1 && message[1] == 0 || strings.Count(string(message), "[")+strings.Count(string(message), "{") > 10_000 {
			return // in another encoding, or too deep for encoding/json
		}
		d := newDocuments(t, json.Fail)
		_, err := d.Append(message)
		if want := stdjson.Valid(message) && utf8.Valid(message); (err == nil) != want {
			t.Fatalf("%q: %v", message, err)
		}
		if err != nil {
			return
		}
		if got, want := documents(d)[0], strings.Trim(string(message), " \t\r\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
