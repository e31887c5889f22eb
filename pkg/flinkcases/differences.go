package flinkcases

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fails stands for the result of a job that fails.
const Fails = "fails"

// Difference says where the engine's answer to a case is not Flink's, and why. A case may have several.
type Difference struct {
	Case   string
	Reason Reason
	// Unsaid says that no job spec can say the job, or, when there are Columns, these columns of its result.
	Unsaid  bool
	Columns []string
	// Single are results of single records or queries, by their place. A job over all of them has these for Flink's too.
	Single map[int]Single
	// Missing and Added are the rows that the result has less and more than Flink's.
	Missing, Added []string
}

// Single is what one record or query gives: CSV, "" for no row, or Fails.
type Single struct{ Flink, Ours string }

// Reason is why answers differ.
type Reason string

// The reasons for which a job cannot be said yet.
const (
	NestedTypes     Reason = "ARRAY, ROW and MAP are no types of a schema yet"
	OtherWindows    Reason = "there are no windows but tumbling ones yet"
	RowsWithWindow  Reason = "a window groups; rows that pass on one by one with their window cannot be said yet"
	OtherAggregates Reason = "there are no aggregates but COUNT, SUM, MIN, MAX and AVG yet, and these without DISTINCT"
	HavingAndFilter Reason = "HAVING and FILTER have no place in a job spec yet"
)

// The reasons for which the result of a job is another one on purpose.
const (
	Container  Reason = "an object or array where a scalar is wanted is skipped as a whole and the field is NULL (BOOLEAN: false); Flink's parser reads on inside, so that inner keys become the row's and the rest of the row, or the row, is lost"
	BadText    Reason = "a text with a bad escape, bad UTF-8 or, for BYTES, bad base64 ends at its quote and its field is NULL; Flink's parser loses its place and with it the row"
	Overlong   Reason = "overlong UTF-8 (C0 AF for a slash) is not UTF-8: an error, or NULL where errors are ignored; Flink's parser takes it"
	Timer      Reason = "what is late goes by the data alone; Flink made its watermarks on a timer of 200 ms and had read all rows before the first, so it kept a row that is late by the data"
	Simplified Reason = "a comparison with NaN is false; Flink's planner folds conditions such as x > 1 OR x < 1 OR x = 1 into x IS NOT NULL, which is true for NaN"
	NullTime   Reason = "a row without event time counts as of 1970-01-01 00:00:00, as in Flink's GROUP BY TUMBLE(…); Flink's table function TUMBLE fails there"
)

// Differences returns those of a case; none means that its answer is Flink's, byte for byte.
func Differences(name string) []Difference {
	var found []Difference
	for _, d := range differences {
		if d.Case == name {
			found = append(found, d)
		}
	}
	return found
}

// Table returns all differences by their reason as a table of Markdown.
func Table() string {
	var reasons []Reason
	places := map[Reason][]string{}
	for _, d := range differences {
		if places[d.Reason] == nil {
			reasons = append(reasons, d.Reason)
		}
		places[d.Reason] = append(places[d.Reason], d.place())
	}
	var table strings.Builder
	table.WriteString("| reason | cases |\n|---|---|\n")
	for _, reason := range reasons {
		fmt.Fprintf(&table, "| %s | %s |\n", reason, strings.Join(places[reason], ", "))
	}
	return table.String()
}

// place names the case, with the part of it that differs when the rest does not.
func (d Difference) place() string {
	switch {
	case len(d.Columns) > 0:
		return fmt.Sprintf("%s (columns %s)", d.Case, strings.Join(d.Columns, " "))
	case len(d.Single) > 0:
		places := slices.Sorted(maps.Keys(d.Single))
		return fmt.Sprintf("%s (%s)", d.Case, strings.Trim(fmt.Sprint(places), "[]"))
	default:
		return d.Case
	}
}

// AllDifferences returns those of all cases.
func AllDifferences() []Difference { return slices.Clone(differences) }
