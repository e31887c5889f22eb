package expr

import (
	"errors"
	"strings"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
)

var listings = sqltype.Schema{
	{Name: "id", Type: sqltype.IntType}, {Name: "product", Type: sqltype.StringType}, {Name: "price", Type: sqltype.BigIntType},
	{Name: "kdv", Type: sqltype.DoubleType}, {Name: "ts", Type: sqltype.TimestampType(3)},
}

// Errors have a place, name the thing and say what to do.
func TestCompileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"prise * 2":                      `1:1: unknown column "prise"; did you mean "price"?`,
		"price +\n  UPER(product)":       `2:3: unknown function UPER; did you mean UPPER?`,
		"price * (1 + kdv":               `1:17: unexpected the end of the expression, expected ")"`,
		"":                               "1:1: the expression is empty",
		"product + 1":                    "1:9: + cannot be applied to (STRING, INT); it takes numbers, or times and intervals",
		"kdv AND TRUE":                   "1:5: AND cannot be applied to (DOUBLE, BOOLEAN); it takes BOOLEANs",
		"CAST(price AS INTT)":            `1:15: unknown type "INTT"`,
		"CAST(price AS DECIMAL(50, 2))":  "1:15: precision of DECIMAL must be between 1 and 38, got 50",
		"CAST(price AS TIMESTAMP(3))":    "1:1: cannot cast BIGINT to TIMESTAMP(3): use TO_TIMESTAMP_LTZ(number, 3) for milliseconds since 1970, with 0 for seconds",
		"'açık":                          "1:1: the text that begins here is not closed by '",
		"'ğüş' || $":                     "1:10: unexpected character '$'",
		`"price"`:                        "1:1: unexpected character '\"': write texts as 'text' and names as `name`",
		"SUM(price)":                     "1:1: SUM is an aggregate: it stands among a window's aggregates, not in an expression",
		"NULL":                           "1:1: the type of NULL is unknown here: write CAST(NULL AS type)",
		"price > 'a' AND price = 'a'":    "1:23: = cannot be applied to (BIGINT, CHAR(1)); it takes two values of comparable types",
		"CASE WHEN price THEN 1 END":     "1:11: the condition of WHEN must be BOOLEAN, not BIGINT",
		"SUBSTRING(product)":             "1:1: SUBSTRING takes 2 to 3 arguments, got 1",
		"DATE_FORMAT(ts, 'yyyy b')":      `1:17: the format "yyyy b" has the letter b, which has no meaning here; put text between '`,
		"product LIKE 'a!b' ESCAPE '!'":  "1:14: in the pattern 'a!b' the escape character ! must be before %, _ or itself",
		"INTERVAL '100' DAY":             "1:1: the first field of INTERVAL '100' has more than 2 digits: write the number of digits after its unit, as DAY(3)",
		"EXTRACT(YEARS2 FROM ts)":        `1:9: unexpected "YEARS2", expected a unit of time such as YEAR, MONTH, DAY, HOUR, MINUTE or SECOND`,
		"9223372036854775808":            "1:1: the number 9223372036854775808 is out of the range of BIGINT; write it in quotes in a CAST, as CAST('9223372036854775808' AS DECIMAL(38, 0)), or with an exponent for DOUBLE",
		strings.Repeat("(", 2000):        "1:1001: the expression is nested deeper than 1000 levels",
		"1" + strings.Repeat("+1", 2000): "1:2004: more than 1000 operators in a row",
		strings.Repeat(" ", 1<<20) + "1": "1:1048577: the expression is longer than 1048576 bytes",
		"price IN (1" + strings.Repeat(",1", 5000) + ")": "1:8201: more than 4096 values in one list",
	} {
		_, err := Compile(text, listings, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("Compile(%.60q) = %v, want %s", text, err, want)
		}
	}
}

// A failure in a row names the row and the place; what is not evaluated does not fail.
func TestRowErrors(t *testing.T) {
	batch := batchOf(t, listings, []string{`{"id":1,"price":10,"product":"7"}`, `{"id":0,"price":20,"product":"yedi"}`, `{"id":0}`})
	defer batch.Release()
	for text, row := range map[string]int{"price + price / id": 1, "1 + CAST(product AS INT)": 1, "CASE WHEN id = 0 THEN 1 / id ELSE 0 END": 1} {
		p, err := Compile(text, listings, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Eval(batch, memory.DefaultAllocator)
		if e, ok := errors.AsType[*RowError](err); !ok || e.Row != row || e.Line != 1 || e.Column < 2 {
			t.Errorf("%s: %v, want a failure of row %d", text, err, row)
		}
	}
	for _, text := range []string{
		"CASE WHEN id <> 0 THEN price / id END", "id <> 0 AND price / id > 1", "id = 0 OR price / id > 1", "IF(id = 0, 0, price / id)",
		"COALESCE(price, price / id)", "TRY_CAST(product AS INT)", "CASE WHEN product = '7' THEN CAST(product AS INT) END",
		"id <> 0 AND price BETWEEN SYMMETRIC 5 AND price / id", "NULLIF(COALESCE(id, 0), 7) <> 0 AND price / id > 0",
	} {
		p, err := Compile(text, listings, Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Eval(batch, memory.DefaultAllocator)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		a.Release()
	}
}

// Operands that a construct uses several times are computed once, however deep they nest.
func TestNestedOperands(t *testing.T) {
	batch := batchOf(t, listings, []string{`{"id":1,"price":10}`, `{"id":0}`})
	defer batch.Release()
	nest := func(open, inner, end string) string {
		return strings.Repeat(open, 200) + inner + strings.Repeat(end, 200)
	}
	for _, text := range []string{
		nest("CASE ", "id", " WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 0 END"),
		nest("NULLIF(", "id", ", 3)"),
		nest("(", "(id > 0)", " BETWEEN SYMMETRIC FALSE AND TRUE)"),
		nest("(", "(id > 0)", " IN (TRUE, FALSE))"),
		nest("(", "(id > 0)", " IS DISTINCT FROM TRUE)"),
		nest("COALESCE(", "id", ", 1)"),
	} {
		p, err := Compile(text, listings, Options{})
		if err != nil {
			t.Fatalf("%.60s: %v", text, err)
		}
		a, err := p.Eval(batch, memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%.60s: %v", text, err)
		}
		a.Release()
	}
}

func TestProgram(t *testing.T) {
	p, err := Compile("price * (1 + kdv) > id", listings, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 2, 3}, p.Columns()); diff != "" {
		t.Error(diff)
	}
	if p.Type() != sqltype.BooleanType || p.String() != "price * (1 + kdv) > id" || p.Column() != -1 {
		t.Errorf("%s is %s, column %d", p, p.Type(), p.Column())
	}
	if p, err = Compile("kdv", listings, Options{}); err != nil || p.Column() != 3 {
		t.Errorf("kdv is column %d, %v", p.Column(), err)
	}
	names, err := Identifiers("price * (1 + `kdv`) + CASE WHEN price > 0 THEN x.y END")
	if err == nil {
		t.Errorf("a table's name was taken: %v", names)
	}
	names, err = Identifiers("price * (1 + `kdv`) + CASE id WHEN price THEN CAST(product AS INT) END")
	if diff := cmp.Diff([]string{"price", "kdv", "id", "product"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestParseAggregate(t *testing.T) {
	for text, want := range map[string]Aggregate{
		"COUNT(*)":                      {Func: "COUNT", Arg: "*", Offset: 6},
		"\tsum ( price * (1 + kdv) )\n": {Func: "SUM", Arg: "price * (1 + kdv)", Offset: 7},
		"MAX(`order`)":                  {Func: "MAX", Arg: "`order`", Offset: 4},
	} {
		got, err := ParseAggregate(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"SUM(*)":             "1:5: * stands only in COUNT(*)",
		"COUNT(DISTINCT id)": "1:7: COUNT(DISTINCT …) is not supported yet",
		"MEDIAN(id)":         "1:1: unknown aggregate MEDIAN; there are COUNT, SUM, MIN, MAX, AVG",
		"SUM(id) + 1":        `1:9: unexpected "+", expected the end: an aggregate stands alone`,
		"SUM()":              `1:5: unexpected ")", expected an argument`,
		"SUM(id +)":          "1:9: unexpected the end of the expression, expected an expression",
		"price":              `1:6: unexpected the end of the expression, expected "("`,
	} {
		if _, err := ParseAggregate(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
