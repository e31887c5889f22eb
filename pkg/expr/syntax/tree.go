package syntax

// Node is a part of an expression.
type Node interface {
	// Offset is the byte offset of the part's most telling token: an operator, a function's name, a literal.
	Offset() int
}

type at int

func (a at) Offset() int { return int(a) }

// LiteralKind tells literals apart.
type LiteralKind uint8

// The kinds of literals.
const (
	Null LiteralKind = iota
	True
	False
	Exact     // digits with at most one point
	Approx    // with an exponent
	Text      // the decoded text
	Bytes     // hex digits
	Date      // the text of DATE '…'
	Time      // the text of TIME '…'
	Timestamp // the text of TIMESTAMP '…'
)

// Literal is a constant as written.
type Literal struct {
	at
	Kind LiteralKind
	Text string
}

// Interval is INTERVAL '…' From [TO To].
type Interval struct {
	at
	Text     string
	Negative bool
	From, To Unit // To is 0 for a single unit
	// Precision is the number of digits allowed in the leading field, 2 unless it is written; Fraction the fractional
	// digits of a second, 6 unless it is written.
	Precision, Fraction int
}

// Column is a reference to a column.
type Column struct {
	at
	Name string
}

// Call is an operator or a function. Name is in upper case; operators have their symbol, and the word operators
// their words ("IS NULL", "NOT LIKE").
type Call struct {
	at
	Name string
	Args []Node
}

// Keyword is an argument that is a word of the grammar: a Unit, or BOTH, LEADING, TRAILING.
type Keyword struct {
	at
	Word string
}

// Cast is CAST or TRY_CAST.
type Cast struct {
	at
	Arg        Node
	Type       string // as written
	TypeOffset int
	Try        bool
}

// When is one branch of a Case.
type When struct{ If, Then Node }

// Case is CASE [Operand] WHEN … THEN … ELSE … END.
type Case struct {
	at
	Operand Node // nil in the searched form
	Whens   []When
	Else    Node // nil for NULL
}

// Unit is a unit of time.
type Unit uint8

// The units of time, the longer before the shorter ones; those up to Second may stand in an INTERVAL.
const (
	NoUnit Unit = iota
	Year
	Quarter
	Month
	Week
	Day
	Hour
	Minute
	Second
	Millisecond
	Microsecond
	Nanosecond
	Epoch
	Decade
	Century
	Millennium
	DOW
	DOY
	ISODOW
	ISOYear
)

var units = map[string]Unit{
	"YEAR": Year, "QUARTER": Quarter, "MONTH": Month, "WEEK": Week, "DAY": Day, "HOUR": Hour, "MINUTE": Minute, "SECOND": Second,
	"MILLISECOND": Millisecond, "MICROSECOND": Microsecond, "NANOSECOND": Nanosecond, "EPOCH": Epoch, "DECADE": Decade, "CENTURY": Century,
	"MILLENNIUM": Millennium, "DOW": DOW, "DOY": DOY, "ISODOW": ISODOW, "ISOYEAR": ISOYear,
	// plurals, and the names of ODBC
	"YEARS": Year, "QUARTERS": Quarter, "MONTHS": Month, "WEEKS": Week, "DAYS": Day, "HOURS": Hour, "MINUTES": Minute, "SECONDS": Second,
	"SQL_TSI_YEAR": Year, "SQL_TSI_QUARTER": Quarter, "SQL_TSI_MONTH": Month, "SQL_TSI_WEEK": Week, "SQL_TSI_DAY": Day,
	"SQL_TSI_HOUR": Hour, "SQL_TSI_MINUTE": Minute, "SQL_TSI_SECOND": Second,
}

// ParseUnit returns the unit of a word in upper case, NoUnit if it is none.
func ParseUnit(word string) Unit { return units[word] }

// Children returns the direct operands of n.
func Children(n Node) []Node {
	switch n := n.(type) {
	case *Call:
		return n.Args
	case *JSON:
		return n.children()
	case *Cast:
		return []Node{n.Arg}
	case *Case:
		var all []Node
		if n.Operand != nil {
			all = append(all, n.Operand)
		}
		for _, w := range n.Whens {
			all = append(all, w.If, w.Then)
		}
		if n.Else != nil {
			all = append(all, n.Else)
		}
		return all
	}
	return nil
}

// NewCall returns a call at an offset, as if it had been written there.
func NewCall(offset int, name string, args ...Node) *Call {
	return &Call{at(offset), name, args}
}
