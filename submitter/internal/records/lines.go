package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxLine bounds a line of a file, in bytes: no broker takes a larger record unless it is told to.
const maxLine = 64 << 20

// Shape says how texts become records.
type Shape struct {
	// Key is of each record whose text has none of its own; nil for none.
	Key []byte
	// KeySeparator divides a text into key and value where it is first found, if it is not empty.
	KeySeparator string
	Headers      []kgo.RecordHeader
	Topic        string
	Partition    int32
	// JSON demands that each value is one JSON value.
	JSON bool
}

func (s Shape) record(text []byte) (*kgo.Record, error) {
	r := &kgo.Record{Topic: s.Topic, Partition: s.Partition, Key: s.Key, Value: text, Headers: s.Headers}
	if s.KeySeparator != "" {
		if key, value, found := bytes.Cut(text, []byte(s.KeySeparator)); found {
			r.Key, r.Value = key, value
		}
	}
	if s.JSON && !json.Valid(r.Value) {
		return nil, fmt.Errorf("not one JSON value: %.60q", r.Value)
	}
	return r, nil
}

// Values is a source of given texts, each a record.
func Values(texts []string, shape Shape) Source { return &values{texts, shape} }

type values struct {
	texts []string
	shape Shape
}

// Next implements Source.
func (v *values) Next(time.Duration) (*kgo.Record, error) {
	if len(v.texts) == 0 {
		return nil, io.EOF
	}
	text := v.texts[0]
	v.texts = v.texts[1:]
	return v.shape.record([]byte(text))
}

// Lines is a source of the lines of a text, each a record, without the \n or \r\n at its end. name says in errors where the lines
// are from.
func Lines(name string, in io.Reader, shape Shape) Source {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	return &lines{name: name, scanner: scanner, shape: shape}
}

type lines struct {
	name    string
	scanner *bufio.Scanner
	shape   Shape
	read    int
}

// Next implements Source.
func (l *lines) Next(time.Duration) (*kgo.Record, error) {
	if !l.scanner.Scan() {
		if err := l.scanner.Err(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", l.name, l.read+1, err)
		}
		return nil, io.EOF
	}
	l.read++
	record, err := l.shape.record(bytes.Clone(l.scanner.Bytes()))
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", l.name, l.read, err)
	}
	return record, nil
}

// Whole is a source of one record: all bytes of a text.
func Whole(in io.Reader, shape Shape) Source { return &whole{in: in, shape: shape} }

type whole struct {
	in    io.Reader
	shape Shape
	done  bool
}

// Next implements Source.
func (w *whole) Next(time.Duration) (*kgo.Record, error) {
	if w.done {
		return nil, io.EOF
	}
	w.done = true
	text, err := io.ReadAll(w.in)
	if err != nil {
		return nil, err
	}
	return w.shape.record(text)
}
