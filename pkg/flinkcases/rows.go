package flinkcases

import (
	"bytes"
	"slices"
	"strings"
)

// Without returns the case without some columns of its result, in its query and in what Flink wrote for it.
func (c Case) Without(columns []string) Case {
	list, from := cutWord(strings.TrimPrefix(c.Query, "SELECT "), " FROM ")
	items := splitTop(list)
	var kept []string
	var keep []bool
	var output []Column
	for i, column := range c.OutputColumns {
		keep = append(keep, !slices.Contains(columns, column.Name))
		if keep[i] {
			kept = append(kept, items[i])
			output = append(output, column)
		}
	}
	c.Query = "SELECT " + strings.Join(kept, ", ") + " FROM " + from
	c.OutputColumns = output
	var rows []byte
	for _, row := range Rows(c.Expected) {
		for i, cell := range cells(row) {
			if keep[i] {
				rows = append(append(rows, cell...), ',')
			}
		}
		rows[len(rows)-1] = '\n'
	}
	c.Expected = bytes.Join(Sorted(Rows(rows)), nil)
	return c
}

// Rows cuts CSV into rows, each with its line feed. A line feed inside quotes does not end one.
func Rows(text []byte) [][]byte {
	var rows [][]byte
	begin, inQuotes := 0, false
	for i, b := range text {
		if b == '"' {
			inQuotes = !inQuotes
		}
		if b == '\n' && !inQuotes {
			rows = append(rows, text[begin:i+1])
			begin = i + 1
		}
	}
	if begin < len(text) {
		rows = append(rows, text[begin:])
	}
	return rows
}

// Sorted sorts rows bytewise, as those of a case that is not Ordered are, and returns them.
func Sorted(rows [][]byte) [][]byte {
	slices.SortFunc(rows, bytes.Compare)
	return rows
}

// cells cuts a row as it is written at its commas outside quotes.
func cells(row []byte) [][]byte {
	var all [][]byte
	begin, inQuotes := 0, false
	for i, b := range row {
		if b == '"' {
			inQuotes = !inQuotes
		}
		if (b == ',' || b == '\n') && !inQuotes {
			all = append(all, row[begin:i])
			begin = i + 1
		}
	}
	return all
}
