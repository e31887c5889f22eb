package replay

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kgo"
)

// deepest is how deep encoding/json reads: what is nested deeper it takes for malformed.
const deepest = 10_000

// document returns the text of a record that is one JSON value.
func document(record []byte) (value, error) {
	record, err := utf8Record(record)
	if err != nil {
		return nil, err
	}
	if !json.Valid(record) || !utf8.Valid(record) {
		if bytes.Count(record, []byte("["))+bytes.Count(record, []byte("{")) > deepest {
			return nil, unsupported("a document nested deeper than %d levels, perhaps", deepest)
		}
		return nil, fmt.Errorf("no JSON: %.100q", record)
	}
	return string(bytes.Trim(record, " \t\r\n")), nil
}

// utf8Record cuts a byte order mark off.
func utf8Record(record []byte) ([]byte, error) {
	if bytes.IndexByte(record[:min(4, len(record))], 0) >= 0 || bytes.HasPrefix(record, []byte{0xff, 0xfe}) || bytes.HasPrefix(record, []byte{0xfe, 0xff}) {
		return nil, unsupported("a record in UTF-16 or UTF-32")
	}
	return bytes.TrimPrefix(record, []byte("\ufeff")), nil
}

// rawValue is a record of the format raw.
func rawValue(record []byte) value {
	if record == nil {
		return nil
	}
	return string(record)
}

// metadata returns the values of metadata columns.
func metadata(columns []plan.MetadataColumn, r *kgo.Record) ([]value, error) {
	values := make([]value, len(columns))
	for i, column := range columns {
		switch column.Key {
		case "topic":
			values[i] = r.Topic
		case "partition":
			values[i] = int64(r.Partition)
		case "offset":
			values[i] = r.Offset
		case "timestamp":
			values[i] = stamp{ms: r.Timestamp.UnixMilli()}
		case "timestamp-type":
			values[i] = []string{"NoTimestampType", "CreateTime", "LogAppendTime"}[r.Attrs.TimestampType()+1]
		case "leader-epoch":
			if r.LeaderEpoch >= 0 {
				values[i] = int64(r.LeaderEpoch)
			}
		case "key":
			values[i] = rawValue(r.Key)
		case "headers":
			values[i] = headersDocument(r.Headers)
		default:
			name, ok := strings.CutPrefix(column.Key, plan.HeaderKey)
			if !ok {
				return nil, unsupported("the metadata %s", column.Key)
			}
			for _, h := range r.Headers {
				if h.Key == name {
					values[i] = rawValue(h.Value)
				}
			}
		}
	}
	return values, nil
}

// headersDocument writes headers as a JSON object with the last value of each name, in base64.
func headersDocument(headers []kgo.RecordHeader) value {
	var members []string
	for i, h := range headers {
		if slices.ContainsFunc(headers[i+1:], func(later kgo.RecordHeader) bool { return later.Key == h.Key }) {
			continue
		}
		content := "null"
		if h.Value != nil {
			content = `"` + base64.StdEncoding.EncodeToString(h.Value) + `"`
		}
		members = append(members, treeText(strings.ToValidUTF8(h.Key, "\ufffd"))+":"+content)
	}
	return "{" + strings.Join(members, ",") + "}"
}
