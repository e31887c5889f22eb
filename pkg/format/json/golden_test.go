package json_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// goldenCase is a case that a real Flink 1.20.5 ran: JSON records in, CSV out.
type goldenCase struct {
	name    string
	Columns []struct{ Name, Type string }
	JSON    map[string]string
	Result  string // csv, error, or each: a job for every record
	records [][]byte
}

func readCase(t *testing.T, name string) goldenCase {
	t.Helper()
	c := goldenCase{name: name}
	if err := stdjson.Unmarshal(c.file(t, "case.json"), &c); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(c.path("input.jsonl"))
	inHex := errors.Is(err, fs.ErrNotExist)
	input := "input.jsonl"
	if inHex {
		input = "input.hex"
	}
	for line := range bytes.Lines(c.file(t, input)) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if inHex && string(line) == "-" {
			line = nil
		} else if inHex {
			if line, err = hex.DecodeString(string(line)); err != nil {
				t.Fatal(err)
			}
		}
		c.records = append(c.records, line)
	}
	return c
}

func (c *goldenCase) path(file string) string {
	return filepath.Join("testdata", "golden", c.name, file)
}

func (c *goldenCase) file(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(c.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pipeline is a decoder with an encoder behind it: the job of the cases.
type pipeline struct {
	decoder *json.Decoder
	encoder *csv.Encoder
}

func (c *goldenCase) pipeline(t *testing.T) (*pipeline, error) {
	t.Helper()
	var schema sqltype.Schema
	for _, column := range c.Columns {
		typ, err := sqltype.Parse(column.Type)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, sqltype.Column{Name: column.Name, Type: typ})
	}
	options, err := json.ParseOptions(c.JSON)
	if err != nil {
		return nil, err
	}
	p := new(pipeline)
	if p.decoder, err = json.NewDecoder(schema, options, memory.DefaultAllocator); err != nil {
		return nil, err
	}
	p.encoder, err = csv.NewEncoder(schema, csv.Options{ScientificDecimal: true})
	return p, err
}

// run returns the CSV that one record becomes.
func (p *pipeline) run(record []byte) (string, error) {
	if _, err := p.decoder.Append(record); err != nil {
		return "", err
	}
	batch := p.decoder.NewBatch()
	defer batch.Release()
	text, err := p.encoder.AppendRows(nil, batch)
	return string(text), err
}

func TestGolden(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			c := readCase(t, folder.Name())
			p, err := c.pipeline(t)
			if c.Result == "error" {
				if err == nil {
					t.Fatalf("options %v are taken, Flink refuses them", c.JSON)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Result == "each" {
				c.compareEach(t, p)
			} else {
				c.compareAll(t, p)
			}
		})
	}
}

// compareAll compares the output over all records with Flink's file. A record in differences must give what the list
// says, and not what Flink gave.
func (c *goldenCase) compareAll(t *testing.T, p *pipeline) {
	var all strings.Builder
	listed := differences[c.name]
	for i, record := range c.records {
		got, err := p.run(record)
		if err != nil {
			t.Fatalf("record %d %.200q: %v", i, record, err)
		}
		if d, ok := listed[i]; ok {
			if got != d.ours || got == d.flink {
				t.Errorf("record %d %.200q gives %q, the difference listed is %q for Flink's %q", i, record, got, d.ours, d.flink)
			}
			got = d.flink
		}
		all.WriteString(got)
	}
	want := string(c.file(t, "expected.csv"))
	if got := all.String(); got != want {
		t.Errorf("output differs from Flink's: %s", firstDifference(got, want))
	}
}

func firstDifference(got, want string) string {
	gotLines, wantLines := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			return fmt.Sprintf("line %d is %.300q, want %.300q", i+1, gotLines[i], wantLines[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(gotLines), len(wantLines))
}

// compareEach compares record by record, errors too.
func (c *goldenCase) compareEach(t *testing.T, p *pipeline) {
	lines := bufio.NewScanner(bytes.NewReader(c.file(t, "expected-each.jsonl")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var want struct {
			Record     int
			CSV, Error string
		}
		if err := stdjson.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		record := c.records[want.Record]
		got, err := p.run(record)
		if d, ok := differences[c.name][want.Record]; ok {
			if got != d.ours || got == d.flink || err == nil && d.ours == "" {
				t.Errorf("record %d %.200q gives %q, %v, the difference listed is %q for Flink's %q", want.Record, record, got, err, d.ours, d.flink)
			}
			continue
		}
		if (err != nil) != (want.Error != "") || err == nil && got != want.CSV {
			t.Errorf("record %d %.200q gives %q, %v; Flink %q, %s", want.Record, record, got, err, want.CSV, want.Error)
		}
	}
}
