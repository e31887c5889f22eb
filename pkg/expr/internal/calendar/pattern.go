package calendar

import (
	"fmt"
	"strings"
)

// Pattern is a compiled format of dates and times: Java's DateTimeFormatter.ofPattern in the US locale, without its zones.
type Pattern struct{ fields []patternField }

// patternField is a letter and how often it stands, or literal text (letter 0).
type patternField struct {
	letter byte
	count  int
	text   string
}

// Letters that a pattern may have, and how often one may stand in a row.
var patternLetters = map[byte]int{
	'G': 5, 'u': 19, 'y': 19, 'Y': 19, 'D': 3, 'M': 5, 'L': 5, 'd': 2, 'Q': 5, 'q': 5, 'w': 2, 'W': 1, 'E': 5, 'e': 5, 'c': 5, 'a': 1,
	'h': 2, 'K': 2, 'k': 2, 'H': 2, 'm': 2, 's': 2, 'S': 9, 'A': 19, 'n': 19, 'N': 19,
}

// CompilePattern compiles a format. Letters without a meaning, and those of zones, are errors.
func CompilePattern(text string) (*Pattern, error) {
	p := &Pattern{}
	for i := 0; i < len(text); {
		b := text[i]
		switch {
		case b == '\'':
			literal, n, ok := quotedText(text[i:])
			if !ok {
				return nil, fmt.Errorf("the format %q has a ' without its other", text)
			}
			p.fields = append(p.fields, patternField{text: literal})
			i += n
		case isLetter(b):
			count := 1
			for i+count < len(text) && text[i+count] == b {
				count++
			}
			if most := patternLetters[b]; count > most {
				return nil, letterError(text, b, count, most)
			}
			p.fields = append(p.fields, patternField{letter: b, count: count})
			i += count
		case b == '{' || b == '}' || b == '#':
			return nil, fmt.Errorf("the format %q has the reserved character %c; put it between '", text, b)
		case b == '[' || b == ']':
			i++ // optional parts are always written
		default:
			p.fields = append(p.fields, patternField{text: text[i : i+1]})
			i++
		}
	}
	return p, nil
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func letterError(text string, b byte, count, most int) error {
	if most == 0 {
		return fmt.Errorf("the format %q has the letter %c, which has no meaning here; put text between '", text, b)
	}
	return fmt.Errorf("the format %q has %d times %c, of which there may be %d", text, count, b, most)
}

// quotedText reads 'text', in which two quotes stand for one; ” alone is a quote too. n is the length read.
func quotedText(s string) (literal string, n int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			literal += s[i : i+1]
		} else if i+1 < len(s) && s[i+1] == '\'' {
			literal += "'"
			i++
		} else {
			return literal, i + 1, true
		}
	}
	return "", 0, false
}

// Append appends a wall clock, in ms since 1970 and the nanoseconds within the millisecond.
func (p *Pattern) Append(dst []byte, ms int64, nanos uint32) []byte {
	c := newClock(ms, nanos)
	for _, f := range p.fields {
		if f.letter == 0 {
			dst = append(dst, f.text...)
		} else {
			dst = c.append(dst, f)
		}
	}
	return dst
}

// clock has the fields of a time that formats write.
type clock struct {
	days, year   int64
	month, day   int
	ofDay, nanos int64 // ms of the day, ns of the second
}

func newClock(ms int64, nanos uint32) clock {
	c := clock{days: FloorDiv(ms, Day), ofDay: FloorMod(ms, Day)}
	c.year, c.month, c.day = Date(c.days)
	c.nanos = c.ofDay%Second*1_000_000 + int64(nanos)
	return c
}

var (
	months   = strings.Fields("January February March April May June July August September October November December")
	weekdays = strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday")
	quarters = strings.Split("1st quarter,2nd quarter,3rd quarter,4th quarter", ",")
)

func (c clock) append(dst []byte, f patternField) []byte {
	switch f.letter {
	case 'G':
		return append(dst, c.era(f.count)...)
	case 'y':
		year := c.year
		if year <= 0 {
			year = 1 - year
		}
		return appendYear(dst, year, f.count)
	case 'u':
		return appendYear(dst, c.year, f.count)
	case 'Y':
		year, _ := c.week()
		return appendYear(dst, year, f.count)
	case 'M', 'L':
		return appendNamed(dst, months[c.month-1], months[c.month-1][:3], int64(c.month), f.count)
	case 'Q', 'q':
		quarter := (c.month-1)/3 + 1
		return appendNamed(dst, quarters[quarter-1], "Q"+quarters[quarter-1][:1], int64(quarter), f.count)
	case 'E', 'e', 'c':
		day := Weekday(c.days)
		count := f.count
		if f.letter == 'E' {
			count = max(count, 3)
		}
		return appendNamed(dst, weekdays[day], weekdays[day][:3], day+1, count)
	case 'a':
		return append(dst, [...]string{"AM", "PM"}[c.ofDay/(12*Hour)]...)
	case 'S':
		start := len(dst)
		return appendPadded(dst, c.nanos, 9)[:start+f.count]
	}
	return appendPadded(dst, c.number(f.letter), f.count)
}

// number returns the fields that are written as plain numbers.
func (c clock) number(letter byte) int64 {
	hour := c.ofDay / Hour
	switch letter {
	case 'D':
		return c.days - Days(c.year, 1, 1) + 1
	case 'd':
		return int64(c.day)
	case 'w':
		_, week := c.week()
		return week
	case 'W':
		return (int64(c.day) - 1 + Weekday(c.days-int64(c.day)+1) + 7) / 7
	case 'h':
		return (hour+11)%12 + 1
	case 'K':
		return hour % 12
	case 'k':
		return (hour+23)%24 + 1
	case 'H':
		return hour
	case 'm':
		return c.ofDay % Hour / Minute
	case 's':
		return c.ofDay % Minute / Second
	case 'A':
		return c.ofDay
	case 'n':
		return c.nanos
	}
	return c.ofDay/Second*1_000_000_000 + c.nanos // N
}

// week returns year and week as the USA count: weeks begin on Sunday, the first one holds January 1.
func (c clock) week() (year, week int64) {
	first := func(year int64) int64 { january := Days(year, 1, 1); return january - Weekday(january) }
	year = c.year
	if c.days >= first(year+1) {
		year++
	}
	return year, (c.days-first(year))/7 + 1
}

func (c clock) era(count int) string {
	name := [...]string{"AD", "Anno Domini", "A"}
	if c.year <= 0 {
		name = [...]string{"BC", "Before Christ", "B"}
	}
	return name[min(max(count-3, 0), 2)]
}

// appendYear writes two digits for a count of two, and a sign for more than four digits.
func appendYear(dst []byte, year int64, count int) []byte {
	if count == 2 {
		return appendPadded(dst, FloorMod(year, 100), 2)
	}
	if year < 0 {
		dst, year = append(dst, '-'), -year
	} else if count >= 4 && year >= 10_000 {
		dst = append(dst, '+')
	}
	if count == 1 || count == 3 {
		count = max(count, 1)
	}
	return appendPadded(dst, year, count)
}

// appendNamed writes a number for a count of one or two, then the short name, the name, the initial.
func appendNamed(dst []byte, name, short string, number int64, count int) []byte {
	switch count {
	case 1, 2:
		return appendPadded(dst, number, count)
	case 3:
		return append(dst, short...)
	case 4:
		return append(dst, name...)
	}
	return append(dst, name[0])
}

// Parse reads a wall clock as DateTimeFormatter does. Fields that the format lacks are those of 1970-01-01 00:00:00. A day beyond the month's last
// is that last day.
func (p *Pattern) Parse(s string) (ms int64, ok bool) {
	values, rest, ok := p.parse(s, false)
	if !ok || rest != "" {
		return 0, false
	}
	return clockOf(values)
}

// ParseLeniently reads a wall clock as SimpleDateFormat does: numbers have as many digits as there are, fields beyond their range carry on into the
// next, and what follows does not matter.
func (p *Pattern) ParseLeniently(s string) (ms int64, ok bool) {
	values, _, ok := p.parse(s, true)
	if !ok {
		return 0, false
	}
	months := values['y']*12 + values['M'] - 1
	days := Days(FloorDiv(months, 12), int(FloorMod(months, 12))+1, 1) + values['d'] - 1
	return days*Day + hourOf(values)*Hour + values['m']*Minute + values['s']*Second + values['S']/1_000_000, true
}

func (p *Pattern) parse(s string, lenient bool) (values map[byte]int64, rest string, ok bool) {
	values = map[byte]int64{'y': 1970, 'M': 1, 'd': 1}
	for i, f := range p.fields {
		if f.letter == 0 {
			if rest, ok = strings.CutPrefix(s, f.text); !ok {
				return nil, "", false
			}
			s = rest
			continue
		}
		adjacent := i+1 < len(p.fields) && p.fields[i+1].letter != 0
		if lenient && !adjacent && f.count == 2 && f.letter != 'y' {
			f.count = 1
		}
		v, n, ok := parsePatternField(s, f, adjacent)
		if !ok {
			return nil, "", false
		}
		values[canonical(f.letter)] = v
		s = s[n:]
	}
	return values, s, true
}

// canonical gives letters of one field one name.
func canonical(letter byte) byte {
	switch letter {
	case 'u':
		return 'y'
	case 'L':
		return 'M'
	}
	return letter
}

// parsePatternField reads one field from the beginning of s; n is the length read.
func parsePatternField(s string, f patternField, adjacent bool) (v int64, n int, ok bool) {
	switch {
	case f.letter == 'a':
		if len(s) < 2 || s[:2] != "AM" && s[:2] != "PM" {
			return 0, 0, false
		}
		return int64(strings.Index("AMPM", s[:2]) / 2), 2, true
	case (f.letter == 'M' || f.letter == 'L') && f.count >= 3:
		return parseName(s, months, f.count)
	case f.letter == 'E':
		_, n, ok := parseName(s, weekdays, max(f.count, 3))
		return 0, n, ok
	case f.letter == 'S':
		v, n, ok = digitsOf(s, f.count, f.count)
		for range 9 - f.count {
			v *= 10
		}
		return v, n, ok
	case strings.IndexByte("yuMLdHhKkms", f.letter) < 0:
		return 0, 0, false
	}
	least, most := f.count, 9
	if f.count == 2 || adjacent {
		most = f.count
	}
	v, n, ok = digitsOf(s, least, most)
	if (f.letter == 'y' || f.letter == 'u') && f.count == 2 {
		v += 2000
	}
	return v, n, ok
}

// parseName reads a name or its first three letters, and returns its number from 1.
func parseName(s string, names []string, count int) (v int64, n int, ok bool) {
	for i, name := range names {
		if count == 3 {
			name = name[:3]
		}
		if strings.HasPrefix(s, name) {
			return int64(i) + 1, len(name), true
		}
	}
	return 0, 0, false
}

// digitsOf reads least to most digits.
func digitsOf(s string, least, most int) (v int64, n int, ok bool) {
	for n < len(s) && n < most && '0' <= s[n] && s[n] <= '9' {
		v = v*10 + int64(s[n]-'0')
		n++
	}
	return v, n, n >= least
}

// hourOf returns the hour of the day, whichever letter gave it.
func hourOf(values map[byte]int64) int64 {
	if h, twelve := values['h']; twelve {
		return h%12 + 12*values['a']
	}
	if k, from1 := values['k']; from1 {
		return k % 24
	}
	if k, from0 := values['K']; from0 {
		return k + 12*values['a']
	}
	return values['H']
}

// clockOf puts the fields of Parse together.
func clockOf(values map[byte]int64) (ms int64, ok bool) {
	year, month, day := values['y'], values['M'], values['d']
	hour, minute, second := hourOf(values), values['m'], values['s']
	if year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	days := Days(year, int(month), min(int(day), DaysIn(year, int(month))))
	return days*Day + hour*Hour + minute*Minute + second*Second + values['S']/1_000_000, true
}
