package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pencere/pkg/jobspec"
)

// evaluated returns what an expression makes of a record.
func evaluated(t *testing.T, expression, record string) (string, error) {
	t.Helper()
	text := fmt.Sprintf(`
name: expressions
source: {kafka: {brokers: "k:9092", topic: t}, schema: {b: BOOLEAN, i: INT, j: INT, d: DOUBLE, s: STRING, at: TIMESTAMP(3)}}
select: [%q]
sink: {csv: {path: out}}
`, expression+" AS x")
	job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	rows, err := replayRecords(job, [][][]byte{{[]byte(record)}})
	return strings.Join(rows, ""), err
}

// What stands only in cases of Flink that hold other things too which are not replayed.
func TestFunctions(t *testing.T) {
	const record = `{"b":true,"i":-3,"j":5,"d":2.25,"s":"  ab ","at":"2025-11-04 09:05:07.250"}`
	for expression, want := range map[string]string{
		"LTRIM(s) || '|'":                        `"ab |"`,
		"RTRIM(s) || '|'":                        `"  ab|"`,
		"LEAST(i, j, 0)":                         "-3",
		"GREATEST(i, j, 0)":                      "5",
		"GREATEST(i, CAST(NULL AS INT))":         "",
		"LEAST('b', 'a')":                        "a",
		"SQRT(d)":                                "1.5",
		"SQRT(d - 3)":                            "NaN",
		"CAST(b AS INT)":                         "1",
		"CAST(i AS BOOLEAN)":                     "true",
		"CAST(i + 3 AS BOOLEAN)":                 "false",
		"CAST(at AS DATE)":                       "2025-11-04",
		"QUARTER(at)":                            "4",
		"DATE_FORMAT(at, 'yyyy-MM-dd HH:mm:ss')": `"2025-11-04 09:05:07"`,
		"DATE_FORMAT(at + INTERVAL '9' HOUR, 'HH/dd')": "18/04",
	} {
		if got, err := evaluated(t, expression, record); err != nil || got != want+"\n" {
			t.Errorf("%s: %q, %v, want %q", expression, got, err, want)
		}
	}
	for expression, want := range map[string]string{"DATE_FORMAT(at, 'dd MMM')": `DATE_FORMAT by "MMM"`, "DATE_FORMAT(at, 'y')": `DATE_FORMAT by "y"`, "LEAST(d, i)": "LEAST(DOUBLE, INT)"} {
		_, err := evaluated(t, expression, record)
		if beyond, ok := errors.AsType[*UnsupportedError](err); !ok || !strings.Contains(beyond.What, want) {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
}
