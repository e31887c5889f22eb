package bson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	driver "go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"pencere/pkg/format/bson"
)

// Whatever is read as JSON is in the document: the same values, with their order, as encoding/json reads them. And nothing is read that is none.
func FuzzAppendJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5,-0,1e3,true,null,"\u00fc\\"],"b":{"$c.d":{}}}`, `[[[]]]`, `12345678901234567890`, `"😀\ud83d\ude00"`, `{"a":1,"a":2}`, ` {} `, `nul`, `1.`, `{"a":1,}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := bson.AppendJSON(nil, "v", text)
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			return // it is checked before it comes here; this must end, no more
		}
		if err != nil {
			return
		}
		document := bsoncore.BuildDocument(nil, fields)
		if err := driver.Raw(document).Validate(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.UseNumber()
		var want strings.Builder
		if err := printJSON(decoder, &want); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		show(driver.Raw(document).Lookup("v"), &got)
		if got.String() != want.String() {
			t.Errorf("%q became %s, want %s", text, got.String(), want.String())
		}
	})
}

// printJSON writes what a decoder of encoding/json reads, numbers as fractions.
func printJSON(d *json.Decoder, to *strings.Builder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		to.WriteString(token.String())
		for d.More() {
			if err := printJSON(d, to); err != nil {
				return err
			}
			to.WriteByte(',')
		}
		closing, err := d.Token()
		fmt.Fprint(to, closing)
		return err
	case json.Number:
		to.WriteString(fraction(token.String()))
	default:
		fmt.Fprintf(to, "%#v", token)
	}
	return nil
}

func fraction(number string) string {
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return "no number " + number
	}
	return r.String()
}

// show writes a value as printJSON does.
func show(v driver.RawValue, to *strings.Builder) {
	switch v.Type {
	case driver.TypeEmbeddedDocument, driver.TypeArray:
		brackets := map[driver.Type]string{driver.TypeEmbeddedDocument: "{}", driver.TypeArray: "[]"}[v.Type]
		to.WriteByte(brackets[0])
		elements, _ := driver.Raw(v.Value).Elements()
		for i, e := range elements {
			if v.Type == driver.TypeEmbeddedDocument {
				fmt.Fprintf(to, "%#v,", e.Key())
			} else if e.Key() != fmt.Sprint(i) {
				to.WriteString("wrong index ")
			}
			show(e.Value(), to)
			to.WriteByte(',')
		}
		to.WriteByte(brackets[1])
	case driver.TypeString:
		fmt.Fprintf(to, "%#v", v.StringValue())
	case driver.TypeNull:
		to.WriteString("<nil>")
	case driver.TypeBoolean:
		fmt.Fprintf(to, "%#v", v.Boolean())
	case driver.TypeDouble:
		shortest, _ := json.Marshal(v.Double())
		to.WriteString(fraction(string(shortest)))
	case driver.TypeDecimal128:
		to.WriteString(fraction(v.Decimal128().String()))
	default:
		to.WriteString(fraction(fmt.Sprint(v.AsInt64())))
	}
}

// Names keep their order, however many there are.
func TestOrder(t *testing.T) {
	var members []string
	for i := range 200 {
		members = append(members, fmt.Sprintf(`"%d":0`, (i*37)%200))
	}
	fields, err := bson.AppendJSON(nil, "v", "{"+strings.Join(members, ",")+"}")
	if err != nil {
		t.Fatal(err)
	}
	elements, err := driver.Raw(bsoncore.BuildDocument(nil, fields)).Lookup("v").Document().Elements()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, e := range elements {
		keys = append(keys, fmt.Sprintf("%q:0", e.Key()))
	}
	if !slices.Equal(keys, members) {
		t.Errorf("the order is %q", keys)
	}
}
