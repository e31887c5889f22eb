package json_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/flinkcases"
	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// pipeline is a decoder with an encoder behind it: the job of the cases.
type pipeline struct {
	decoder *json.Decoder
	encoder *csv.Encoder
}

func newPipeline(t *testing.T, c flinkcases.Case) (*pipeline, error) {
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

// groups are those of the cases that are about JSON.
var groups = []string{"json", "timestamps", "types", "double"}

func TestGolden(t *testing.T) {
	cases, err := flinkcases.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		listed := flinkcases.Differences(c.Name)
		unsaid := len(listed) > 0 && listed[0].Unsaid
		if !slices.Contains(groups, c.Group) || c.Query != "SELECT * FROM src" || unsaid {
			continue
		}
		differing := map[int]flinkcases.Single{}
		for _, d := range listed {
			maps.Copy(differing, d.Single)
		}
		t.Run(c.Name, func(t *testing.T) { checkGolden(t, c, differing) })
	}
}

func checkGolden(t *testing.T, c flinkcases.Case, differing map[int]flinkcases.Single) {
	p, err := newPipeline(t, c)
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
		compareEach(t, c, p, differing)
	} else {
		compareAll(t, c, p, differing)
	}
}

// compareAll compares the output over all records with Flink's file. A record that is listed must give what the list
// says, and not what Flink gave.
func compareAll(t *testing.T, c flinkcases.Case, p *pipeline, differing map[int]flinkcases.Single) {
	var all strings.Builder
	for i, record := range c.Records[0] {
		got, err := p.run(record)
		if err != nil {
			t.Fatalf("record %d %.200q: %v", i, record, err)
		}
		if d, ok := differing[i]; ok {
			if got != d.Ours {
				t.Errorf("record %d %.200q gives %q, the difference listed is %q for Flink's %q", i, record, got, d.Ours, d.Flink)
			}
			got = d.Flink
		}
		all.WriteString(got)
	}
	if got, want := all.String(), string(c.Expected); got != want {
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
func compareEach(t *testing.T, c flinkcases.Case, p *pipeline, differing map[int]flinkcases.Single) {
	for _, want := range c.Outcomes {
		record := c.Records[0][want.Record]
		got, err := p.run(record)
		if err != nil {
			got = flinkcases.Fails
		}
		expected := want.CSV
		if want.Error != "" {
			expected = flinkcases.Fails
		}
		if d, ok := differing[want.Record]; ok {
			expected = d.Ours
		}
		if got != expected {
			t.Errorf("record %d %.200q gives %q, %v; want %q (Flink: %q, %s)", want.Record, record, got, err, expected, want.CSV, want.Error)
		}
	}
}
