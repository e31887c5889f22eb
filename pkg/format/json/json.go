// Package json decodes JSON objects, one a message, into Arrow record batches, and encodes rows of batches as such objects.
//
// A Decoder is compiled from a schema and reads each message once, left to right, straight into column buffers: no
// intermediate values, no reflection, and no floating point for integers and decimals. What is accepted and how it is
// converted is Flink's json format (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/connectors/table/formats/json/),
// down to the corners of its tokenizer, Jackson: the encoding is detected, text after the object is not read, control
// characters may stand in strings, and once as many fields were read as there are columns the rest of the object is only
// checked for its form.
//
// Flink's accidents are not followed. A value of the wrong kind is skipped whole, where Flink's parser may go on inside
// it; a text column's bytes must be UTF-8, where Jackson takes some overlong forms and loses its place over others. In
// both cases the field is bad and Options.OnError says what follows.
package json

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// OnError says what a Decoder does about a bad field or a malformed record.
type OnError uint8

const (
	// Fail returns a *DecodeError for the record.
	Fail OnError = iota
	// Ignore makes a bad field NULL and drops malformed records (Flink's ignore-parse-errors).
	Ignore
	// Skip drops the whole record, whether malformed or with a bad field.
	Skip
)

// TimestampFormat is the layout of TIMESTAMP and TIMESTAMP_LTZ texts (Flink's timestamp-format.standard).
type TimestampFormat uint8

const (
	// SQL is "yyyy-MM-dd HH:mm:ss.s{0,9}", with a final Z for TIMESTAMP_LTZ.
	SQL TimestampFormat = iota
	// ISO8601 is "yyyy-MM-ddTHH:mm[:ss[.s{0,9}]]", with a final Z for TIMESTAMP_LTZ.
	ISO8601
)

// Options of a Decoder. The zero value is Flink's default.
type Options struct {
	OnError OnError
	// FailOnMissingField makes a record without one of the columns' fields a bad record. It contradicts Ignore.
	FailOnMissingField bool
	TimestampFormat    TimestampFormat
}

var errContradiction = errors.New(
	"fail-on-missing-field and ignore-parse-errors contradict each other: only one of them may be true")

// ParseOptions reads options under Flink's names without their prefix: "timestamp-format.standard" (SQL or ISO-8601),
// "fail-on-missing-field" and "ignore-parse-errors" (true or false). Its errors name every key or value that is not
// known and what is allowed in its place.
func ParseOptions(flink map[string]string) (Options, error) {
	var o Options
	var ignore bool
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(flink)) {
		if err := o.set(key, flink[key], &ignore); err != nil {
			problems = append(problems, err)
		}
	}
	if ignore {
		o.OnError = Ignore
	}
	problems = append(problems, o.validate())
	return o, errors.Join(problems...)
}

func (o *Options) set(key, value string, ignore *bool) (err error) {
	switch key {
	case "timestamp-format.standard":
		switch value {
		case "SQL":
			o.TimestampFormat = SQL
		case "ISO-8601":
			o.TimestampFormat = ISO8601
		default:
			return fmt.Errorf("json option %q: %q is not one of SQL, ISO-8601", key, value)
		}
	case "fail-on-missing-field":
		o.FailOnMissingField, err = parseBool(key, value)
	case "ignore-parse-errors":
		*ignore, err = parseBool(key, value)
	default:
		return fmt.Errorf("unknown json option %q: known are fail-on-missing-field, ignore-parse-errors, timestamp-format.standard", key)
	}
	return err
}

func parseBool(key, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("json option %q: %q is not one of true, false", key, value)
}

func (o Options) validate() error {
	if o.OnError > Skip || o.TimestampFormat > ISO8601 {
		return fmt.Errorf("json options out of range: %+v", o)
	}
	if o.FailOnMissingField && o.OnError == Ignore {
		return errContradiction
	}
	return nil
}

// Outcome is what became of one message.
type Outcome uint8

const (
	// Appended means that the message is a row now.
	Appended Outcome = iota
	// Empty means that the message has no bytes and therefore makes no row.
	Empty
	// Dropped means that the record was bad and was left out, as OnError says.
	Dropped
)

// Stats counts what a Decoder has done since it was made.
type Stats struct {
	RowsAppended   int64
	MessagesEmpty  int64
	RecordsDropped int64 // bad records left out under Ignore and Skip
	FieldsIgnored  int64 // bad fields that became NULL in appended rows
}

// ErrBatchFull is returned when a text column of the batch would pass the 2 GiB that Arrow's offsets can count. Nothing of
// the message was kept: take the batch and append the message again.
var ErrBatchFull = errors.New("batch is full: take it before appending more")

// DecodeError says why a message is no row.
type DecodeError struct {
	Field  string // the column at fault, empty when the record as a whole is
	Reason string // in words
	Offset int    // byte offset in the message's text (as UTF-8, behind a byte order mark) where the fault is
	Record string // the message's text, shortened
}

func (e *DecodeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("json record, byte %d: %s: %s", e.Offset, e.Reason, e.Record)
	}
	return fmt.Sprintf("json field %q, byte %d: %s: %s", e.Field, e.Offset, e.Reason, e.Record)
}

// Lengths in bytes at which error messages cut records and values.
const (
	shownRecord = 256
	shownValue  = 64
)

// shorten returns text, quoted where it is not printable, cut at limit bytes.
func shorten(text []byte, limit int) string {
	cut := ""
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text, cut = text[:limit], "…"
	}
	shown := strconv.Quote(string(text))
	shown = strings.ReplaceAll(shown[1:len(shown)-1], `\"`, `"`)
	return shown + cut
}
