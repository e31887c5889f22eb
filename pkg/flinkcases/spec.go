package flinkcases

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec returns the job spec that says the same as a query of the case, with ${BROKERS}, ${TOPIC} and ${OUT} where the job ran. It
// fails for a query that has a part no job spec has a place for, and leaves the rest to whoever reads the spec: it does not know which
// types, functions and aggregates there are.
func (c Case) Spec(query string) (string, error) {
	q, err := parseQuery(query)
	if err != nil {
		return "", fmt.Errorf("case %s: %w", c.Name, err)
	}
	y := &yamlWriter{}
	y.line(0, "name: %s", quoted(c.Name))
	if zone := c.Set["table.local-time-zone"]; zone != "" {
		y.line(0, "time_zone: %s", quoted(zone))
	}
	y.line(0, "source:")
	y.line(1, "kafka: {brokers: \"${BROKERS}\", topic: \"${TOPIC}\", start: earliest, bounded: latest}")
	y.options(1, "json", c.JSON)
	y.line(1, "schema:")
	for _, column := range c.Columns {
		y.line(2, "%s: %s", quoted(column.Name), quoted(column.Type))
	}
	if err := c.writeTime(y); err != nil {
		return "", fmt.Errorf("case %s: %w", c.Name, err)
	}
	if q.where != "" {
		y.line(0, "where: %s", quoted(q.where))
	}
	q.writeWindow(y)
	q.writeSelect(y)
	y.line(0, "sink:")
	y.line(1, "csv:")
	y.line(2, "path: \"${OUT}\"")
	// A job of Flink SQL writes so; one of YAML does when it is told.
	y.line(2, "%s: true", scientific)
	for _, name := range slices.Sorted(maps.Keys(c.CSV)) {
		if name == scientific {
			continue // Flink's filesystem sink does not read it
		}
		y.line(2, "%s: %s", name, optionValue(c.CSV[name]))
	}
	return y.String(), nil
}

const scientific = "write-bigdecimal-in-scientific-notation"

// writeTime writes the watermark and the computed column, which may be the time itself.
func (c Case) writeTime(y *yamlWriter) error {
	if c.Watermark != "" {
		column, expression, _ := strings.Cut(c.Watermark, " AS ")
		delay := time.Duration(0)
		if expression != column {
			text, found := strings.CutPrefix(expression, column+" - ")
			var err error
			if delay, err = interval(text); err != nil || !found {
				return fmt.Errorf("watermark %s: not a column less an interval", c.Watermark)
			}
		}
		y.line(1, "watermark: {column: %s, delay: %dms}", quoted(column), delay.Milliseconds())
	}
	if c.Computed != "" {
		name, expression, _ := strings.Cut(c.Computed, " AS ")
		y.line(0, "compute:")
		y.line(1, "%s: %s", quoted(strings.Trim(name, "`")), quoted(expression))
	}
	return nil
}

// query is a SELECT of the cases, cut into what a job spec says.
type query struct {
	items      []namedText // none for *
	where      string
	window     bool
	size       time.Duration
	offset     time.Duration
	keys       []string
	aggregates []namedText
}

type namedText struct{ name, text string }

var (
	fromTable = regexp.MustCompile(`^TABLE\(TUMBLE\(TABLE src, DESCRIPTOR\(\w+\), (INTERVAL '[^']*' \w+)(?:, (INTERVAL '[^']*' \w+))?\)\)$`)
	groupItem = regexp.MustCompile(`^TUMBLE\(\w+, (INTERVAL '[^']*' \w+)\)$`)
	boundary  = regexp.MustCompile(`\bTUMBLE_(START|END|ROWTIME)\(\w+, INTERVAL '[^']*' \w+\)`)
	aggregate = regexp.MustCompile(`\b(COUNT|SUM|MIN|MAX|AVG)\(`)
)

func parseQuery(text string) (*query, error) {
	rest, found := strings.CutPrefix(text, "SELECT ")
	if !found {
		return nil, fmt.Errorf("query %s: not a SELECT", text)
	}
	rest, having := cutWord(rest, " HAVING ")
	rest, groups := cutWord(rest, " GROUP BY ")
	rest, where := cutWord(rest, " WHERE ")
	list, from := cutWord(rest, " FROM ")
	q := &query{where: where}
	switch {
	case having != "":
		return nil, fmt.Errorf("query %s: HAVING has no place in a job spec", text)
	case from == "src" && groups == "":
	case from == "src" || fromTable.MatchString(from) && groups != "":
		if err := q.parseWindow(from, groups); err != nil {
			return nil, fmt.Errorf("query %s: %w", text, err)
		}
	default:
		return nil, fmt.Errorf("query %s: neither a SELECT from src nor one of tumbling windows", text)
	}
	q.parseList(list)
	return q, nil
}

func (q *query) parseWindow(from, groups string) (err error) {
	q.window = true
	if table := fromTable.FindStringSubmatch(from); table != nil {
		if q.size, err = interval(table[1]); err == nil && table[2] != "" {
			q.offset, err = interval(table[2])
		}
		if err != nil {
			return err
		}
	}
	for _, item := range splitTop(groups) {
		switch window := groupItem.FindStringSubmatch(item); {
		case window != nil:
			if q.size, err = interval(window[1]); err != nil {
				return err
			}
		case item == "window_start" || item == "window_end":
		default:
			q.keys = append(q.keys, strings.Trim(item, "`"))
		}
	}
	if q.size == 0 {
		return fmt.Errorf("no tumbling window in GROUP BY %s", groups)
	}
	return nil
}

func (q *query) parseList(list string) {
	if list == "*" {
		return
	}
	for _, item := range splitTop(list) {
		text, name := item, strings.Trim(item, "`")
		if at := strings.LastIndex(item, " AS "); at >= 0 && !strings.ContainsAny(item[at:], "()'") {
			text, name = item[:at], strings.Trim(item[at+len(" AS "):], "`")
		}
		if q.window {
			text = q.takeAggregates(boundary.ReplaceAllStringFunc(text, boundaryColumn))
		}
		q.items = append(q.items, namedText{name, text})
	}
}

// boundaryColumn returns what a job spec calls TUMBLE_START(…) and the like.
func boundaryColumn(call string) string {
	switch {
	case strings.HasPrefix(call, "TUMBLE_START"):
		return "window_start"
	case strings.HasPrefix(call, "TUMBLE_END"):
		return "window_end"
	default: // the last moment of the window
		return "(window_end - INTERVAL '0.001' SECOND)"
	}
}

// takeAggregates moves the aggregate calls of an expression into the window and leaves their columns.
func (q *query) takeAggregates(text string) string {
	var out strings.Builder
	for {
		at := aggregate.FindStringIndex(text)
		if at == nil {
			return out.String() + text
		}
		end := at[1] + closing(text[at[1]:])
		name := fmt.Sprintf("aggregate_%d", len(q.aggregates)+1)
		q.aggregates = append(q.aggregates, namedText{name, text[at[0]:end]})
		out.WriteString(text[:at[0]] + name)
		text = text[end:]
	}
}

func (q *query) writeWindow(y *yamlWriter) {
	if !q.window {
		return
	}
	y.line(0, "window:")
	y.line(1, "tumble: %dms", q.size.Milliseconds())
	if q.offset != 0 {
		y.line(1, "offset: %dms", q.offset.Milliseconds())
	}
	if len(q.keys) > 0 {
		y.line(1, "group_by:")
	}
	for _, key := range q.keys {
		y.line(2, "- %s", quoted(key))
	}
	if len(q.aggregates) > 0 {
		y.line(1, "aggregates:")
	}
	for _, a := range q.aggregates {
		y.line(2, "%s: %s", quoted(a.name), quoted(a.text))
	}
}

func (q *query) writeSelect(y *yamlWriter) {
	if len(q.items) > 0 {
		y.line(0, "select:")
	}
	for _, item := range q.items {
		y.line(1, "- {%s: %s}", quoted(item.name), quoted(item.text))
	}
}

var units = map[string]time.Duration{"SECOND": time.Second, "MINUTE": time.Minute, "HOUR": time.Hour, "DAY": 24 * time.Hour}

var intervalText = regexp.MustCompile(`^INTERVAL '([0-9.]+)' (\w+)$`)

// interval reads an interval of one unit.
func interval(text string) (time.Duration, error) {
	parts := intervalText.FindStringSubmatch(text)
	if len(parts) == 0 || units[parts[2]] == 0 {
		return 0, fmt.Errorf("%q is no interval of seconds, minutes, hours or days", text)
	}
	number, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(number * float64(units[parts[2]])).Round(time.Millisecond), nil
}

// cutWord cuts text around the last such word that stands outside quotes and parentheses; after is "" when there is none.
func cutWord(text, word string) (before, after string) {
	before = text
	for at := range top(text) {
		if strings.HasPrefix(text[at:], word) {
			before, after = text[:at], text[at+len(word):]
		}
	}
	return before, after
}

// splitTop splits text at the commas outside quotes and parentheses.
func splitTop(text string) []string {
	var parts []string
	begin := 0
	for at := range top(text) {
		if text[at] == ',' {
			parts = append(parts, strings.TrimSpace(text[begin:at]))
			begin = at + 1
		}
	}
	return append(parts, strings.TrimSpace(text[begin:]))
}

// top yields the places of text outside quotes and parentheses.
func top(text string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		depth, quote := 0, byte(0)
		for at := range len(text) {
			switch c := text[at]; {
			case quote != 0:
				if c == quote {
					quote = 0
				}
				continue
			case c == '\'' || c == '`':
				quote = c
			case c == '(':
				depth++
			case c == ')':
				depth--
			}
			if depth == 0 && quote == 0 && !yield(at) {
				return
			}
		}
	}
}

// closing returns the place behind the parenthesis that closes text, which begins behind its opening one.
func closing(text string) int {
	for at := range top("(" + text) {
		return at
	}
	return len(text)
}

// yamlWriter writes lines of a YAML document.
type yamlWriter struct{ strings.Builder }

func (y *yamlWriter) line(depth int, format string, args ...any) {
	y.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(y, format, args...)
	y.WriteByte('\n')
}

func (y *yamlWriter) options(depth int, name string, options map[string]string) {
	if len(options) == 0 {
		return
	}
	y.line(depth, "%s:", name)
	for _, option := range slices.Sorted(maps.Keys(options)) {
		y.line(depth+1, "%s: %s", option, optionValue(options[option]))
	}
}

// optionValue writes an option as a user would: true and false are no texts.
func optionValue(value string) string {
	if lower := strings.ToLower(value); lower == "true" || lower == "false" {
		return lower
	}
	return quoted(value)
}

// quoted writes text as a scalar of YAML in double quotes, with its dollar signs, which stand for no variable here, doubled.
func quoted(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range strings.ReplaceAll(text, "$", "$$") {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, "\\x%02x", r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
