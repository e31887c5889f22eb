package polling_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pencere/pkg/polling"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func path(t testing.TB, text string) polling.Path {
	t.Helper()
	p, err := polling.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPath(t *testing.T) {
	const document = ` {"data": {"users": [{"id": 1}, {"id": 2}], "first name": "x"}, "n": null} `
	for text, want := range map[string]string{
		"":                     strings.TrimSpace(document),
		"$":                    strings.TrimSpace(document),
		"$.data.users":         `[{"id": 1}, {"id": 2}]`,
		"data.users[1].id":     `2`,
		"$.data['first name']": `"x"`,
		"$.n":                  `null`,
		"$.data.users[2]":      "",
		"$.data.users.id":      "",
		"$.nothing":            "",
		"$.n.further":          "",
	} {
		got, found := path(t, text).Find([]byte(document))
		if string(got) != want || found != (want != "") {
			t.Errorf("%s is %s, %t, want %s", text, got, found, want)
		}
	}
	for _, text := range []string{"$.", "$[", "$[x]", "$.a[*]"} {
		if _, err := polling.ParsePath(text); err == nil || !strings.Contains(err.Error(), strconv.Quote(text)) {
			t.Errorf("ParsePath(%q) fails with %v", text, err)
		}
	}
}

func TestItems(t *testing.T) {
	texts := func(items [][]byte) (all []string) {
		for _, item := range items {
			all = append(all, string(item))
		}
		return all
	}
	for _, c := range []struct {
		name, body, path string
		framing          polling.Framing
		want             []string
		says             string
	}{
		{name: "array", body: ` [ {"a":[1,"]"]} , 2,"x",null ] `, want: []string{`{"a":[1,"]"]}`, "2", `"x"`, "null"}},
		{name: "empty array", body: `[]`},
		{name: "object", body: `{"a":1}`, want: []string{`{"a":1}`}},
		{name: "path", body: `{"data":{"users":[{},{}]}}`, path: "$.data.users", want: []string{"{}", "{}"}},
		{name: "byte order mark", body: "\xef\xbb\xbf[1]", want: []string{"1"}},
		{name: "lines", body: "{\"a\":1}\r\n\n  \n{\"a\":2}", framing: polling.NDJSON, want: []string{`{"a":1}`, `{"a":2}`}},
		{name: "bad line", body: "{\"a\":1}\n{\"a\":", framing: polling.NDJSON, want: []string{`{"a":1}`, `{"a":`}},
		{name: "nothing", body: " \n", says: "it is empty, and no JSON"},
		{name: "garbage", body: "<html>", says: `it is no JSON: invalid character '<' looking for beginning of value (byte 1); it begins with "<html>"`},
		{name: "cut off", body: `[{"a":1},{"a"`, says: "it is no JSON: unexpected end of JSON input (byte 13)"},
		{name: "two documents", body: `{} {}`, says: "it is no JSON: invalid character '{' after top-level value"},
		{name: "Latin-1", body: "[\"caf\xe9\"]", says: "it is not valid UTF-8 (byte 5)"},
		{name: "path to nothing", body: `{"data":[]}`, path: "$.users", says: "there is no $.users in it; set items to where the items are"},
		{name: "path to a text", body: `{"data":"none"}`, path: "$.data", says: `$.data is "\"none\"" and neither an array nor an object`},
		{name: "null", body: `null`, says: `$ is "null" and neither`},
	} {
		t.Run(c.name, func(t *testing.T) {
			framing := c.framing
			if framing == "" {
				framing = polling.JSON
			}
			items, err := polling.Items([]byte(c.body), framing, path(t, c.path))
			if c.says != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.says) {
					t.Fatalf("error %v, want %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, texts(items)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The items of any document are what encoding/json finds there.
func FuzzItems(f *testing.F) {
	f.Add([]byte(`[1, {"a": [2, "\\\"]"]}, "x"]`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Add([]byte(`[ [ ] , { } ]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := polling.Items(body, polling.JSON, polling.Path{})
		if err != nil {
			return
		}
		var want []json.RawMessage
		if trimmed := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")); json.Unmarshal(trimmed, &want) != nil {
			want = []json.RawMessage{bytes.TrimSpace(trimmed)}
		}
		if len(items) != len(want) {
			t.Fatalf("%d items of %q, want %d", len(items), body, len(want))
		}
		for i := range items {
			if !bytes.Equal(items[i], bytes.TrimSpace(want[i])) {
				t.Errorf("item %d of %q is %q, want %q", i, body, items[i], want[i])
			}
		}
	})
}

func TestFramingOf(t *testing.T) {
	for contentType, want := range map[string]polling.Framing{
		"": polling.JSON, "application/json": polling.JSON, "application/json; charset=utf-8": polling.JSON, "application/vnd.api+json": polling.JSON,
		"text/plain": polling.JSON, "application/x-ndjson": polling.NDJSON, "Application/JSONL": polling.NDJSON,
		"text/html; charset=utf-8": "", "application/xml": "", "image/png": "", ";": "",
	} {
		got, err := polling.FramingOf(contentType)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("FramingOf(%q) = %q, %v", contentType, got, err)
		}
	}
}

func TestNextLink(t *testing.T) {
	for header, want := range map[string]string{
		`<https://h/a?page=2>; rel="next"`:                                       "https://h/a?page=2",
		`<https://h/a?page=1>; rel="prev", <https://h/a?page=3>; rel="next"`:     "https://h/a?page=3",
		`</a,b;c?x=">>; rel=last, <n>; title="a, \"b\"; rel=prev"; rel="x NEXT"`: "n",
		`<n>;rel=next`:                      "n",
		`<n>; REL = next ; foo`:             "n",
		`<n>; rel="prev"; rel="next"`:       "",
		`<n>`:                               "",
		`<n; rel=next`:                      "",
		`rel=next`:                          "",
		`<a>; rel="nextish"`:                "",
		`<a>; title="rel=next"`:             "",
		`<a>; title="open, <b>; rel="next"`: "",
	} {
		if got, found := polling.NextLink([]string{header}); got != want || found != (want != "") {
			t.Errorf("NextLink(%s) = %q, %t, want %q", header, got, found, want)
		}
	}
	if got, _ := polling.NextLink([]string{"<a>; rel=prev", "<b>; rel=next"}); got != "b" {
		t.Errorf("of two headers: %q", got)
	}
}

// Whatever a server says of its next page, there is one on the same server, or none, or an error.
func FuzzNextPage(f *testing.F) {
	f.Add(`<https://h/a?page=2>; rel="next"`, []byte(`{"next":"/b"}`))
	f.Add(`<//other/>; rel=next`, []byte(`{"next":"//other"}`))
	f.Add(`<%zz>; rel=next, <`, []byte(`{"next":7}`))
	field := path(f, "$.next")
	f.Fuzz(func(t *testing.T, link string, body []byte) {
		target, _ := url.Parse("https://h/a")
		if !json.Valid(body) {
			body = []byte("{}")
		}
		for _, p := range []polling.Pagination{
			{Scheme: polling.Link}, {Scheme: polling.Next, Field: field}, {Scheme: polling.Page, Parameter: "p"},
			{Scheme: polling.Next, Field: field, Parameter: "cursor"},
		} {
			next, err := p.NextPage(target, polling.Answer{URL: target, Links: []string{link}, Body: body, Items: 1})
			if next == nil {
				continue
			}
			again, parseErr := url.Parse(next.String())
			if err != nil || parseErr != nil || again.Host != "h" || again.Scheme != "https" {
				t.Fatalf("next page %q, %v, %v", next, err, parseErr)
			}
		}
	})
}

func TestNextPage(t *testing.T) {
	target, _ := url.Parse("https://h/users?key=s3cret")
	field := path(t, "$.next")
	for _, c := range []struct {
		name       string
		pagination polling.Pagination
		answer     polling.Answer
		want, says string
	}{
		{name: "one page", answer: polling.Answer{Links: []string{"<b>; rel=next"}}},
		{name: "link", pagination: polling.Pagination{Scheme: polling.Link}, answer: polling.Answer{Links: []string{"<?page=2>; rel=next"}}, want: "https://h/users?page=2"},
		{name: "no link", pagination: polling.Pagination{Scheme: polling.Link}},
		{name: "other server", pagination: polling.Pagination{Scheme: polling.Link}, answer: polling.Answer{Links: []string{"<https://evil/?x=s3cret>; rel=next"}},
			says: "its next page is on another server, https://evil; pages are followed on one server alone"},
		{name: "downgrade", pagination: polling.Pagination{Scheme: polling.Link}, answer: polling.Answer{Links: []string{"<http://h/>; rel=next"}}, says: "another server"},
		{name: "itself", pagination: polling.Pagination{Scheme: polling.Link}, answer: polling.Answer{Links: []string{"<>; rel=next"}}, says: "it names itself as its next page"},
		{name: "malformed", pagination: polling.Pagination{Scheme: polling.Link}, answer: polling.Answer{Links: []string{"<http://[s3cret>; rel=next"}}, says: "the address of its next page is malformed"},
		{name: "field", pagination: polling.Pagination{Scheme: polling.Next, Field: field}, answer: polling.Answer{Body: []byte(`{"next":"/b"}`)}, want: "https://h/b"},
		{name: "null", pagination: polling.Pagination{Scheme: polling.Next, Field: field}, answer: polling.Answer{Body: []byte(`{"next":null}`)}},
		{name: "empty", pagination: polling.Pagination{Scheme: polling.Next, Field: field}, answer: polling.Answer{Body: []byte(`{"next":""}`)}},
		{name: "false", pagination: polling.Pagination{Scheme: polling.Next, Field: field}, answer: polling.Answer{Body: []byte(`{"next":false}`)}},
		{name: "missing", pagination: polling.Pagination{Scheme: polling.Next, Field: field}, answer: polling.Answer{Body: []byte(`[]`)}},
		{name: "cursor", pagination: polling.Pagination{Scheme: polling.Next, Field: field, Parameter: "after"}, answer: polling.Answer{Body: []byte(`{"next":"a&b"}`)},
			want: "https://h/users?after=a%26b&key=s3cret"},
		{name: "number", pagination: polling.Pagination{Scheme: polling.Next, Field: field, Parameter: "after"}, answer: polling.Answer{Body: []byte(`{"next":42}`)},
			want: "https://h/users?after=42&key=s3cret"},
		{name: "page", pagination: polling.Pagination{Scheme: polling.Page, Parameter: "page", First: 1}, answer: polling.Answer{Number: 4, Items: 1}, want: "https://h/users?key=s3cret&page=6"},
		{name: "last page", pagination: polling.Pagination{Scheme: polling.Page, Parameter: "page", First: 1}, answer: polling.Answer{Number: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.answer.URL = target
			next, err := c.pagination.NextPage(target, c.answer)
			got := ""
			if next != nil {
				got = next.String()
			}
			if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("next page %q, %v, want %q, %q", got, err, c.want, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	first := polling.Pagination{Scheme: polling.Page, Parameter: "page", First: 0}.FirstPage(target)
	if got := first.String(); got != "https://h/users?key=s3cret&page=0" {
		t.Errorf("first page %s", got)
	}
}

// Seen knows of each key how its item looked last, as long as no more keys came than its limit.
func TestSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4
		seen, last, order := polling.NewSeen(limit), map[polling.Digest]polling.Digest{}, []polling.Digest(nil)
		for range rapid.IntRange(0, 50).Draw(t, "items") {
			key := polling.Digest(rapid.IntRange(0, 6).Draw(t, "key"))
			item := polling.Digest(rapid.IntRange(0, 1).Draw(t, "item"))
			before, known := last[key]
			if got := seen.Observe(key, item); got != (known && before == item) {
				t.Fatalf("key %d item %d is unchanged: %t", key, item, got)
			}
			order = append(slices.DeleteFunc(order, func(k polling.Digest) bool { return k == key }), key)
			last[key] = item
			if len(order) > limit {
				delete(last, order[0])
				order = order[1:]
			}
			if seen.Len() != len(last) {
				t.Fatalf("%d keys, want %d", seen.Len(), len(last))
			}
		}
	})
}

// A position survives its bytes, and goes on in the same way.
func TestPositionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digest := rapid.Map(rapid.Uint64(), func(n uint64) polling.Digest { return polling.Digest(n) })
		p := polling.Position{
			PolledMs: rapid.Int64().Draw(t, "polled"), ETag: rapid.String().Draw(t, "etag"), LastModified: rapid.String().Draw(t, "modified"),
			Refused: digest.Draw(t, "refused"), Seen: polling.NewSeen(8),
		}
		if rapid.Bool().Draw(t, "under way") {
			p.UnderWay = &polling.Progress{
				Page: rapid.String().Draw(t, "page"), Number: rapid.IntRange(0, 1000).Draw(t, "number"), Taken: rapid.IntRange(0, 1000).Draw(t, "taken"),
				Body: digest.Draw(t, "body"), Sent: rapid.SliceOf(digest).Draw(t, "sent"),
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "seen") {
			p.Seen.Observe(digest.Draw(t, "key"), digest.Draw(t, "item"))
		}
		got, err := polling.DecodePosition(p.Encode(), 8)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Encode(), p.Encode()) {
			t.Fatalf("read back otherwise: %+v, want %+v", got, p)
		}
		if without, err := polling.DecodePosition(p.Encode(), 0); err != nil || without.Seen != nil {
			t.Fatalf("without dedupe_by: %+v, %v", without, err)
		}
	})
}

// Positions of this form are in checkpoints: they are read for ever.
func TestPositionVersions(t *testing.T) {
	const first = "\x01\xd0\x0f\x03\"e\"\x02ab\x07\x00\x00\x00\x00\x00\x00\x00\x01\x01u\x02\x03\x09\x00\x00\x00\x00\x00\x00\x00\x01\x05\x00\x00\x00\x00\x00\x00\x00\x01\x0b\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00"
	want := polling.Position{
		PolledMs: 1000, ETag: `"e"`, LastModified: "ab", Refused: 7, Seen: polling.NewSeen(2),
		UnderWay: &polling.Progress{Page: "u", Number: 2, Taken: 3, Body: 9, Sent: []polling.Digest{5}},
	}
	want.Seen.Observe(11, 12)
	if got := string(want.Encode()); got != first {
		t.Errorf("encoded as %q", got)
	}
	got, err := polling.DecodePosition([]byte(first), 2)
	if err != nil || !cmp.Equal(got.UnderWay, want.UnderWay) || got.PolledMs != 1000 || !got.Seen.Observe(11, 12) {
		t.Errorf("decoded as %+v, %v", got, err)
	}
	if _, err := polling.DecodePosition([]byte{2}, 0); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer version: %v", err)
	}
}

func FuzzDecodePosition(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(polling.Position{UnderWay: &polling.Progress{Sent: []polling.Digest{1, 2}}}.Encode(), 3)
	f.Fuzz(func(t *testing.T, data []byte, seen int) {
		p, err := polling.DecodePosition(data, seen%100)
		if err == nil {
			p.Encode()
		}
	})
}

// A poll that dies at any item and goes on from there, with whatever the server has by then, hands out no version of an item twice
// and none too few.
func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 8)
		items := func(ids []int) (all [][]byte) {
			for _, id := range ids {
				all = append(all, []byte(strconv.Itoa(id)))
			}
			return all
		}
		page := version.Draw(t, "page")
		progress, sent := polling.Progress{}, map[string]int{}
		for life := range rapid.IntRange(1, 4).Draw(t, "lives") {
			if life > 0 && rapid.Bool().Draw(t, "changes") {
				page = version.Draw(t, "page")
			}
			left := progress.Resume(polling.DigestOf(fmt.Append(nil, page)), items(page))
			had := map[string]int{}
			for _, item := range items(page) {
				had[string(item)]++
			}
			for _, item := range left {
				had[string(item)]--
			}
			for item, n := range had {
				if n < 0 || n > sent[item] {
					t.Fatalf("%d of item %s are left out, %d were sent", n, item, sent[item])
				}
			}
			again := map[string]int{}
			for _, item := range left {
				again[string(item)]++
			}
			for _, item := range items(page) {
				there := 0
				for _, other := range page {
					if strconv.Itoa(other) == string(item) {
						there++
					}
				}
				if want := max(0, there-sent[string(item)]); again[string(item)] != want {
					t.Fatalf("item %s is read %d times more; %d are there, %d were sent", item, again[string(item)], there, sent[string(item)])
				}
			}
			for _, item := range left[:rapid.IntRange(0, len(left)).Draw(t, "taken")] {
				progress.Take(polling.DigestOf(item))
				sent[string(item)]++
			}
		}
	})
}
