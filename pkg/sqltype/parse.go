package sqltype

import (
	"fmt"
	"strconv"
	"strings"
)

// parameters says which numbers a type name takes in parentheses.
type parameters struct {
	kind        Kind
	first       string // what the first number is called; "" when the name takes none
	min, max    int    // bounds of the first number
	byDefault   int    // the first number when it is not written
	secondScale bool   // a second number, the scale, may follow
	fixedLength int    // the length of names such as STRING
}

// names are the spellings that a schema may use. Flink's own synonyms are taken; its types without a place
// here (ARRAY, MAP, ROW, …) are refused by name. JSON is the one type that Flink does not have.
var names = map[string]parameters{
	"BOOLEAN":       {kind: Boolean},
	"TINYINT":       {kind: TinyInt},
	"SMALLINT":      {kind: SmallInt},
	"INT":           {kind: Int},
	"INTEGER":       {kind: Int},
	"BIGINT":        {kind: BigInt},
	"FLOAT":         {kind: Float},
	"DOUBLE":        {kind: Double},
	"DECIMAL":       {kind: Decimal, first: "precision", min: 1, max: MaxDecimalPrecision, byDefault: 10, secondScale: true},
	"DEC":           {kind: Decimal, first: "precision", min: 1, max: MaxDecimalPrecision, byDefault: 10, secondScale: true},
	"NUMERIC":       {kind: Decimal, first: "precision", min: 1, max: MaxDecimalPrecision, byDefault: 10, secondScale: true},
	"CHAR":          {kind: Char, first: "length", min: 1, max: MaxLength, byDefault: 1},
	"VARCHAR":       {kind: VarChar, first: "length", min: 1, max: MaxLength, byDefault: 1},
	"STRING":        {kind: VarChar, fixedLength: MaxLength},
	"BINARY":        {kind: Bytes, first: "length", min: 1, max: MaxLength, byDefault: 1},
	"VARBINARY":     {kind: Bytes, first: "length", min: 1, max: MaxLength, byDefault: 1},
	"BYTES":         {kind: Bytes, fixedLength: MaxLength},
	"DATE":          {kind: Date},
	"TIME":          {kind: Time, first: "precision", min: 0, max: MaxTimePrecision, byDefault: 0},
	"TIMESTAMP":     {kind: Timestamp, first: "precision", min: 0, max: MaxTimePrecision, byDefault: 6},
	"JSON":          {kind: JSON},
	"TIMESTAMP_LTZ": {kind: TimestampLTZ, first: "precision", min: 0, max: MaxTimePrecision, byDefault: 6},
}

// Names returns the type names that Parse knows, without their parameters; for suggestions and schemas.
func Names() []string {
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	return all
}

// UnknownTypeError is returned by Parse for a name that is no type.
type UnknownTypeError struct{ Name string }

func (e *UnknownTypeError) Error() string { return fmt.Sprintf("unknown type %q", e.Name) }

// Parse reads a type as it is written in a schema or a CAST: a name in any case, its parameters, and NULL or
// NOT NULL. TIMESTAMP WITH LOCAL TIME ZONE and DOUBLE PRECISION are understood. Errors are *UnknownTypeError
// or a sentence about the parameters.
func Parse(text string) (Type, error) {
	words := strings.TrimSpace(text)
	notNull := false
	if rest, ok := cutSuffixWords(words, "NOT", "NULL"); ok {
		words, notNull = rest, true
	} else if rest, ok := cutSuffixWords(words, "NULL"); ok && rest != "" {
		words = rest
	}
	if rest, ok := cutSuffixWords(words, "WITH", "LOCAL", "TIME", "ZONE"); ok {
		words = "TIMESTAMP_LTZ" + strings.TrimPrefix(strings.ToUpper(rest), "TIMESTAMP")
	} else if rest, ok := cutSuffixWords(words, "WITHOUT", "TIME", "ZONE"); ok {
		words = rest
	}
	if rest, ok := cutSuffixWords(words, "PRECISION"); ok && strings.EqualFold(rest, "DOUBLE") {
		words = rest
	}
	name, arguments, err := splitParameters(words)
	if err != nil {
		return Type{}, err
	}
	p, ok := names[strings.ToUpper(name)]
	if !ok {
		return Type{}, &UnknownTypeError{Name: name}
	}
	t, err := p.apply(strings.ToUpper(name), arguments)
	return t.WithNotNull(notNull), err
}

// cutSuffixWords removes the words, in any case and with any blanks between them, from the end of text.
func cutSuffixWords(text string, suffix ...string) (string, bool) {
	rest := text
	for i := len(suffix) - 1; i >= 0; i-- {
		rest = strings.TrimSpace(rest)
		cut := len(rest) - len(suffix[i])
		if cut < 0 || !strings.EqualFold(rest[cut:], suffix[i]) {
			return text, false
		}
		if cut > 0 && rest[cut-1] != ' ' && rest[cut-1] != '\t' && rest[cut-1] != ')' {
			return text, false
		}
		rest = rest[:cut]
	}
	return strings.TrimSpace(rest), true
}

// splitParameters splits "DECIMAL(10, 2)" into its name and numbers.
func splitParameters(text string) (string, []int, error) {
	name, rest, ok := strings.Cut(text, "(")
	name = strings.TrimSpace(name)
	if !ok {
		return name, nil, nil
	}
	body, ok := strings.CutSuffix(strings.TrimSpace(rest), ")")
	if !ok {
		return "", nil, fmt.Errorf("type %q lacks its closing parenthesis", text)
	}
	var arguments []int
	for part := range strings.SplitSeq(body, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return "", nil, fmt.Errorf("type %q: %q is not a whole number", text, strings.TrimSpace(part))
		}
		arguments = append(arguments, n)
	}
	return name, arguments, nil
}

func (p parameters) apply(name string, arguments []int) (Type, error) {
	most := 0
	if p.first != "" {
		most++
	}
	if p.secondScale {
		most++
	}
	if len(arguments) > most {
		return Type{}, fmt.Errorf("type %s takes %d parameters at most, got %d", name, most, len(arguments))
	}
	first := p.byDefault
	if len(arguments) > 0 {
		first = arguments[0]
	}
	if p.first != "" && (first < p.min || first > p.max) {
		return Type{}, fmt.Errorf("%s of %s must be between %d and %d, got %d", p.first, name, p.min, p.max, first)
	}
	t := Type{Kind: p.kind, Length: p.fixedLength}
	switch p.first {
	case "length":
		t.Length = first
	case "precision":
		t.Precision = first
	}
	if len(arguments) == 2 {
		if arguments[1] < 0 || arguments[1] > first {
			return Type{}, fmt.Errorf("scale of %s must be between 0 and its precision %d, got %d", name, first, arguments[1])
		}
		t.Scale = arguments[1]
	}
	return t, nil
}
