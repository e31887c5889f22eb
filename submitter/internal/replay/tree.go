package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"pencere/pkg/javafmt"
)

// compact writes a JSON object or array as Jackson writes the tree that it reads: without blanks, numbers with a point as Java's
// doubles, of repeated keys the last value in the place of the first.
func compact(raw []byte) (value, error) {
	if !json.Valid(raw) {
		return nil, errMalformed
	}
	reader := json.NewDecoder(bytes.NewReader(raw))
	reader.UseNumber()
	var out strings.Builder
	if err := copyValue(&out, reader, raw); err != nil {
		return nil, err
	}
	return out.String(), nil
}

func copyValue(out *strings.Builder, reader *json.Decoder, raw []byte) error {
	begin := reader.InputOffset()
	token, err := reader.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return copyObject(out, reader, raw)
		}
		return copyArray(out, reader, raw)
	case json.Number:
		out.WriteString(treeNumber(string(token)))
	case string:
		at := bytes.IndexByte(raw[begin:], '"')
		content, err := unquote(raw[begin+int64(at) : reader.InputOffset()])
		if err != nil {
			return err
		}
		out.WriteString(treeText(content))
	case bool:
		out.WriteString(strconv.FormatBool(token))
	default:
		out.WriteString("null")
	}
	return nil
}

func copyArray(out *strings.Builder, reader *json.Decoder, raw []byte) error {
	out.WriteByte('[')
	for first := true; reader.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		if err := copyValue(out, reader, raw); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	_, err := reader.Token()
	return err
}

func copyObject(out *strings.Builder, reader *json.Decoder, raw []byte) error {
	var names []string
	values := map[string]string{}
	for reader.More() {
		var name, content strings.Builder
		if err := copyValue(&name, reader, raw); err != nil {
			return err
		}
		if err := copyValue(&content, reader, raw); err != nil {
			return err
		}
		if _, again := values[name.String()]; !again {
			names = append(names, name.String())
		}
		values[name.String()] = content.String()
	}
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(name + ":" + values[name])
	}
	out.WriteByte('}')
	_, err := reader.Token()
	return err
}

func treeNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		n, _ := new(big.Int).SetString(s, 10) // the decoder has seen that it is a number
		return n.String()
	}
	f, _ := strconv.ParseFloat(s, 64) // beyond the range it is infinite
	shown := string(javafmt.AppendDouble(nil, f))
	if strings.HasSuffix(shown, "Infinity") {
		return `"` + shown + `"`
	}
	return shown
}

func treeText(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case '\b':
			out.WriteString(`\b`)
		case '\f':
			out.WriteString(`\f`)
		case '\n':
			out.WriteString(`\n`)
		case '\r':
			out.WriteString(`\r`)
		case '\t':
			out.WriteString(`\t`)
		default:
			if c < ' ' {
				fmt.Fprintf(&out, `\u%04X`, c)
			} else {
				out.WriteByte(c)
			}
		}
	}
	out.WriteByte('"')
	return out.String()
}
