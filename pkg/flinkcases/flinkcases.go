// Package flinkcases holds small jobs with their input and the bytes that a real Flink wrote for them. Tests compare the engine and
// its parts with them; no program imports it.
//
// The jobs ran on Apache Flink 1.20.5 (flink-json, flink-csv, flink-connector-files of that version, OpenJDK 17.0.15) with Apache
// Kafka 4.1.1, each as one bounded streaming job, its session time zone UTC unless Set says otherwise. Those named file-… read a file of
// records, with Flink's filesystem source, and not a topic. A case is a folder of testdata:
//
//	case.json            the job: columns, options, SQL
//	input.jsonl          a record a line, or input-0.jsonl, input-1.jsonl, … by partition
//	input.hex            instead of it where a record is no line of text: in hex, "-" for a tombstone
//	expected.csv         what Flink wrote; sorted by row unless case.json says ordered
//	expected-each.jsonl  instead of it where every record or every query was a job of its own
//	expected-error.txt   instead of it where the job failed
package flinkcases

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

//go:embed testdata
var files embed.FS

// Column is a column of a table and its SQL type.
type Column struct{ Name, Type string }

// Case is a job, what it read and what it wrote.
type Case struct {
	Name, Group string
	What        string // what the case is about
	Mode        string // passthrough or window

	Columns       []Column
	Computed      string            // "" or one further column: name AS expression
	Watermark     string            // "" or: column AS expression
	JSON, CSV     map[string]string // options without their prefix
	SourceOptions map[string]string `json:"source_options"`
	Set           map[string]string // options of the session
	// Query makes the rows; where each of Queries was a job of its own, there is none. Exprs are the expressions of the columns e1,
	// e2, … of Query where it is made of such.
	Query         string
	Queries       []string
	Exprs         []string
	OutputColumns []Column `json:"output_columns"`

	Partitions  int
	Parallelism int
	Ordered     bool
	Each        bool   // every record was a job of its own
	Result      string // csv, error or each

	// Records are those of each partition, in the order of their offsets. One without a value is nil.
	Records [][][]byte `json:"-"`
	// CSV that the job wrote, when Result is csv.
	Expected []byte `json:"-"`
	// Outcomes are the results of the single jobs, when Result is each.
	Outcomes []Outcome `json:"-"`
	// Failure is the text of the error that the job failed with, when Result is error.
	Failure string `json:"-"`
}

// Outcome is the result of a job over one record, or of one query over all records.
type Outcome struct {
	Record int // the record's place, when Each
	Query  int // the query's place in Queries, otherwise
	CSV    string
	Type   string // of the column e of the query; "" when Flink refused it
	Error  string // "" when the job did not fail
}

// All returns the cases, sorted by name. It fails only when the files are not what they should be.
func All() ([]Case, error) {
	folders, err := files.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(folders))
	for i, folder := range folders {
		if cases[i], err = Load(folder.Name()); err != nil {
			return nil, err
		}
	}
	return cases, nil
}

// Load returns the case of a name. It fails when there is none.
func Load(name string) (Case, error) {
	var c Case
	text, err := files.ReadFile(path.Join("testdata", name, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil {
		err = c.readRecords()
	}
	if err == nil {
		err = c.readResult()
	}
	if err != nil {
		return Case{}, fmt.Errorf("case %s: %w", name, err)
	}
	return c, nil
}

func (c *Case) file(name string) ([]byte, error) {
	return files.ReadFile(path.Join("testdata", c.Name, name))
}

func (c *Case) readRecords() error {
	for partition := range c.Partitions {
		name := "input"
		if c.Partitions > 1 {
			name = fmt.Sprintf("input-%d", partition)
		}
		decode := func(line []byte) ([]byte, error) { return line, nil }
		text, err := c.file(name + ".jsonl")
		if errors.Is(err, fs.ErrNotExist) {
			decode = fromHex
			text, err = c.file(name + ".hex")
		}
		if err != nil {
			return err
		}
		var records [][]byte
		for line := range bytes.Lines(text) {
			record, err := decode(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				return err
			}
			records = append(records, record)
		}
		c.Records = append(c.Records, records)
	}
	return nil
}

func fromHex(line []byte) ([]byte, error) {
	if string(line) == "-" {
		return nil, nil
	}
	return hex.AppendDecode([]byte{}, line)
}

func (c *Case) readResult() error {
	switch c.Result {
	case "csv":
		text, err := c.file("expected.csv")
		c.Expected = text
		return err
	case "error":
		text, err := c.file("expected-error.txt")
		c.Failure = string(text)
		return err
	case "each":
		return c.readOutcomes()
	default:
		return fmt.Errorf("unknown result %q", c.Result)
	}
}

func (c *Case) readOutcomes() error {
	text, err := c.file("expected-each.jsonl")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		var o Outcome
		if err := json.Unmarshal(line, &o); err != nil {
			return err
		}
		c.Outcomes = append(c.Outcomes, o)
	}
	return nil
}
