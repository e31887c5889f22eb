package why

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pencere/pkg/eventtime"
)

// plural counts things: "1 row", "2,000 rows".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// outOf is plural of a part of a whole, with its verb: "1 row of 100 was".
func outOf(part, whole int64, one, many string) string {
	verb := "were"
	if part == 1 {
		verb = "was"
	}
	return fmt.Sprintf("%s of %s %s", plural(part, one, many), grouped(whole), verb)
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// span writes a duration in its two largest units. One that clocks make negative is 0 s.
func span(ms int64) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", max(0, ms))
	}
	seconds := ms / 1000
	units := []struct {
		seconds int64
		name    string
	}{{86_400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}}
	var parts []string
	for _, u := range units {
		n := seconds / u.seconds
		seconds %= u.seconds
		if n > 0 || len(parts) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.TrimSuffix(strings.Join(parts, " "), " 0 s")
}

// instant writes event time as the time column has it.
func (e *explainer) instant(ms int64) string {
	layout := "2006-01-02 15:04:05"
	if ms%1000 != 0 {
		layout += ".000"
	}
	text := time.UnixMilli(ms).UTC().Format(layout)
	if e.Source.Zoned {
		text += "Z"
	}
	return text
}

// watermark writes one, or that there is none.
func (e *explainer) watermark(w eventtime.Watermark) string {
	if w == eventtime.None {
		return "none yet"
	}
	return e.instant(int64(w))
}

// window writes the bounds of a window, which are wall clock.
func window(w Window) string {
	const layout = "2006-01-02 15:04:05"
	start, end := time.UnixMilli(w.Start).UTC(), time.UnixMilli(w.End).UTC()
	return fmt.Sprintf("[%s, %s)", start.Format(layout), end.Format(layout))
}

// splitsNamed is how many splits a sentence names.
const splitsNamed = 3

// names lists splits: "partition 3", "partitions 1, 2 and 3", "partitions 1, 2, 3 and 97 more".
func (e *explainer) names(splits []Split) string {
	if e.Source.HTTP {
		return urls(splits)
	}
	var names []string
	for _, s := range splits[:min(len(splits), splitsNamed)] {
		name := strconv.Itoa(int(s.Partition))
		if len(e.Source.Topics) != 1 {
			name = s.Topic + "-" + name
		}
		names = append(names, name)
	}
	if more := len(splits) - len(names); more > 0 {
		names = append(names, plural(int64(more), "more", "more"))
	}
	word := "partitions "
	if len(splits) == 1 {
		word = "partition "
	}
	return word + list(names)
}

// urls lists splits that are URLs.
func urls(splits []Split) string {
	var names []string
	for _, s := range splits[:min(len(splits), splitsNamed)] {
		names = append(names, s.Topic)
	}
	if more := len(splits) - len(names); more > 0 {
		names = append(names, plural(int64(more), "more", "more"))
	}
	if len(splits) == 1 {
		return "the URL " + names[0]
	}
	return "the URLs " + list(names)
}

func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// topic names what the source reads.
func (e *explainer) topic() string {
	switch {
	case e.Source.HTTP && len(e.Source.Topics) == 1:
		return "the URL " + e.Source.Topics[0]
	case e.Source.HTTP:
		return "the URLs " + list(e.Source.Topics)
	case e.Source.Pattern != "":
		return "the topics that match " + e.Source.Pattern
	case len(e.Source.Topics) == 1:
		return "topic " + e.Source.Topics[0]
	default:
		return "topics " + list(e.Source.Topics)
	}
}

// longest is how much of a failure's message a sentence holds, in bytes.
const longest = 500

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > longest {
		line = strings.ToValidUTF8(line[:longest], "") + "…"
	}
	return line
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
