package replay

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"

	"github.com/twmb/franz-go/pkg/kgo"
)

// records are how rows become records of a topic: values by Flink's formats, keys and headers by expressions.
type records struct {
	columns    sqltype.Schema
	value      func(row []value) ([]byte, error)
	key        *expression // nil writes none
	headers    []header
	iso        bool // timestamps with a T
	plain      bool // DECIMAL without an exponent
	ignoreNull bool // NULL fields are left out
}

type header struct {
	name  string
	value expression
}

// newRecords returns what a Kafka sink makes of the rows of a result. Keys and headers are expressions over columns, as the result's are.
func newRecords(sink plan.KafkaSink, program *plan.Program, columns sqltype.Schema) (*records, error) {
	r := &records{columns: program.Sink}
	if sink.Delivery != plan.DeliveryExactlyOnce && sink.Delivery != "" {
		return nil, unsupported("delivery: %s, where a row may be there twice", sink.Delivery)
	}
	if err := r.readFormat(sink); err != nil {
		return nil, err
	}
	if sink.Key != "" {
		key, err := compile(sink.Key, columns, program.Record.Key.Type())
		if err != nil {
			return nil, err
		}
		r.key = &key
	}
	for i, h := range sink.Headers {
		v, err := compile(h.Expr, columns, program.Record.Headers[i].Type())
		if err != nil {
			return nil, err
		}
		r.headers = append(r.headers, header{h.Name, v})
	}
	return r, nil
}

func (r *records) readFormat(sink plan.KafkaSink) error {
	switch sink.Format {
	case plan.FormatCSV:
		l, err := newLayout(sink.FormatOptions)
		r.value = func(row []value) ([]byte, error) {
			line, err := l.row(row, typesOf(r.columns))
			return []byte(strings.TrimSuffix(line, "\n")), err
		}
		return err
	case plan.FormatJSON:
		r.value = r.object
	default:
		return unsupported("sink.kafka.format: %s", sink.Format)
	}
	for _, name := range slices.Sorted(maps.Keys(sink.FormatOptions)) {
		given := sink.FormatOptions[name]
		on := strings.EqualFold(given, "true")
		switch name {
		case "timestamp-format.standard":
			r.iso = given == "ISO-8601"
		case "encode.decimal-as-plain-number":
			r.plain = on
		case "encode.ignore-null-fields":
			r.ignoreNull = on
		default:
			return unsupported("sink.kafka.json.%s", name)
		}
	}
	return nil
}

func typesOf(columns sqltype.Schema) []sqltype.Type {
	types := make([]sqltype.Type, len(columns))
	for i, c := range columns {
		types[i] = c.Type
	}
	return types
}

// object writes a row as a JSON object, as Jackson does.
func (r *records) object(row []value) ([]byte, error) {
	var fields []string
	for i, v := range row {
		if v == nil && r.ignoreNull {
			continue
		}
		shown, err := r.json(v, r.columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", r.columns[i].Name, err)
		}
		fields = append(fields, treeText(r.columns[i].Name)+":"+shown)
	}
	return []byte("{" + strings.Join(fields, ",") + "}"), nil
}

// json writes a value: numbers and BOOLEAN bare, all else in quotes.
func (r *records) json(v value, t sqltype.Type) (string, error) {
	if v == nil {
		return "null", nil
	}
	switch {
	case t.Kind == sqltype.Boolean, t.IsInteger():
		return text(v, t), nil
	case t.IsApproximate():
		if f := floatOf(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return `"` + text(v, t) + `"`, nil
		}
		return text(v, t), nil
	case t.Kind == sqltype.Decimal:
		digits, scale := exact(v, t)
		if !r.plain {
			return scientific(digits, scale), nil
		}
		shown := plain(digits, scale)
		if scale > 0 {
			shown = strings.TrimSuffix(strings.TrimRight(shown, "0"), ".")
		}
		return shown, nil
	case t.IsText():
		if !utf8.ValidString(v.(string)) {
			return "", errNoText
		}
		return treeText(v.(string)), nil
	}
	switch t.Kind {
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		shown := text(v, t)
		if r.iso {
			shown = strings.Replace(shown, " ", "T", 1)
		}
		return `"` + shown + `"`, nil
	case sqltype.Date, sqltype.Time, sqltype.Bytes:
		return `"` + text(v, t) + `"`, nil
	default:
		return "", unsupported("a value of type %s as JSON", t)
	}
}

// row writes a record. row is what the expressions of key and headers are over, selected what the value is made of.
func (r *records) row(row, selected []value) (string, error) {
	content, err := r.value(selected)
	if err != nil {
		return "", err
	}
	record := kgo.Record{Value: content}
	if r.key != nil {
		if record.Key, err = bytesOf(*r.key, row); err != nil {
			return "", err
		}
	}
	for _, h := range r.headers {
		v, err := bytesOf(h.value, row)
		if err != nil {
			return "", err
		}
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.name, Value: v})
	}
	return recordText(&record), nil
}

// bytesOf evaluates an expression of text or bytes; nil is NULL.
func bytesOf(of expression, row []value) ([]byte, error) {
	v, err := of.eval(row)
	if err != nil || v == nil {
		return nil, err
	}
	return []byte(v.(string)), nil
}

// recordText writes a record so that two are the same where their texts are.
func recordText(r *kgo.Record) string {
	var out strings.Builder
	shown := func(name string, b []byte) {
		if b == nil {
			fmt.Fprintf(&out, "%s null", name)
		} else {
			fmt.Fprintf(&out, "%s %q", name, b)
		}
	}
	shown("key", r.Key)
	for _, h := range r.Headers {
		shown(fmt.Sprintf(", header %q:", h.Key), h.Value)
	}
	shown(", value", r.Value)
	return out.String()
}
