package polling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// Framing says how the items lie in an answer's body.
type Framing string

// The framings.
const (
	Auto   Framing = "auto"   // as the answer's Content-Type says
	JSON   Framing = "json"   // one JSON document
	NDJSON Framing = "ndjson" // one JSON value a line
)

// FramingOf returns JSON or NDJSON for a Content-Type. It fails for one that holds no JSON; plain text and bytes may.
func FramingOf(contentType string) (Framing, error) {
	if contentType == "" {
		return JSON, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		return "", fmt.Errorf("its Content-Type %q is malformed; if the answer is JSON all the same, set body: json", contentType)
	}
	switch {
	case slices.Contains([]string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines"}, media):
		return NDJSON, nil
	case media == "application/json", media == "text/json", strings.HasSuffix(media, "+json"),
		media == "text/plain", media == "application/octet-stream", media == "text/javascript", media == "application/javascript":
		return JSON, nil
	default:
		return "", fmt.Errorf("it is %s and not JSON; correct the address, or set body: json if the answer is JSON all the same", media)
	}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// Items returns the items of a body: of a JSON document the elements of the array that path leads to, or the object there as
// the only one; of NDJSON its lines, of which path must be empty. They share the body's memory. An NDJSON line is not looked
// at: it is for the format to decode. The error says what is wrong with the answer as a whole.
func Items(body []byte, framing Framing, path Path) ([][]byte, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if at := invalidUTF8(body); at >= 0 {
		return nil, fmt.Errorf("it is not valid UTF-8 (byte %d)", at)
	}
	if framing == NDJSON {
		return lines(body), nil
	}
	if err := wellFormed(body); err != nil {
		return nil, err
	}
	value, found := path.Find(body)
	switch {
	case !found:
		return nil, fmt.Errorf("there is no %s in it; set items to where the items are", path)
	case value[0] == '[':
		return slices.AppendSeq([][]byte(nil), elements(value)), nil
	case value[0] == '{':
		return [][]byte{value}, nil
	default:
		return nil, fmt.Errorf("%s is %s and neither an array nor an object; set items to where the items are", path, excerpt(value))
	}
}

func invalidUTF8(body []byte) int {
	if utf8.Valid(body) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// wellFormed says what is wrong with a body that is no JSON document.
func wellFormed(body []byte) error {
	if json.Valid(body) {
		return nil
	}
	if len(trim(body)) == 0 {
		return errors.New("it is empty, and no JSON")
	}
	err := json.Unmarshal(body, new(json.RawMessage))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is no JSON: %w (byte %d); it begins with %s", err, syntax.Offset, excerpt(body))
	}
	return fmt.Errorf("it is no JSON: %w", err)
}

// lines returns the lines that are not blank.
func lines(body []byte) [][]byte {
	var all [][]byte
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		if line = trim(line); len(line) > 0 {
			all = append(all, slices.Clip(line))
		}
	}
	return all
}

// excerpt shows the beginning of a text on one line.
func excerpt(text []byte) string {
	const most = 60
	if len(text) > most {
		return fmt.Sprintf("%q …", bytes.ToValidUTF8(text[:most], nil))
	}
	return fmt.Sprintf("%q", text)
}
