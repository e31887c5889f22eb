package replay

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pencere/pkg/sqltype"

	"github.com/twmb/franz-go/pkg/kgo"
)

// letter is why a record is a dead letter.
type letter struct {
	late   string   // the reason in words, of a row that came too late
	fields []string // of another record those that cannot be decoded; none when it is no JSON object
}

// lateness says why a row is late. newest is the latest event time before it in its partition, in ms.
func (e *Evaluator) lateness(start, newest int64) string {
	const layout = "2006-01-02 15:04:05.000"
	window, end := e.program.Job.Window, start+e.program.Job.Window.Size.Milliseconds()
	reached := e.wall(newest - e.program.Job.Source.Watermark.Delay.Milliseconds())
	shown := func(wall int64) string { return time.UnixMilli(wall).UTC().Format(layout) }
	longer := ""
	if window.AllowedLateness > 0 {
		longer = fmt.Sprintf(", which takes rows for %s after its end,", window.AllowedLateness)
	}
	return fmt.Sprintf("late: the window from %s to %s%s was closed by the watermark %s of its partition", shown(start), shown(end), longer, shown(reached))
}

// gives reports whether a reason is this letter's. The words for what cannot be decoded are the engine's own; the field must be right.
func (l letter) gives(reason string) bool {
	switch {
	case l.late != "":
		return reason == l.late
	case len(l.fields) == 0:
		return strings.HasPrefix(reason, "json ")
	default:
		return slices.ContainsFunc(l.fields, func(name string) bool { return strings.HasPrefix(reason, fmt.Sprintf("json field %q, ", name)) })
	}
}

// The cells of a dead letter that stand by themselves: topic, partition and offset, which name the record, and the reason.
const (
	namingCells = 3
	reasonCell  = 4
	letterCells = 8
)

// wantedLetter is a dead letter that must be there: its cells as CSV has them, but for the reason.
type wantedLetter struct {
	letter
	cells []string
}

// String shows the row, with what is known of its reason.
func (w wantedLetter) String() string {
	cells := slices.Clone(w.cells)
	switch {
	case w.late != "":
		cells[reasonCell] = w.late
	case len(w.fields) == 0:
		cells[reasonCell] = "(no JSON object)"
	default:
		cells[reasonCell] = fmt.Sprintf("(field %s)", strings.Join(w.fields, " or "))
	}
	return strings.Join(cells, ",")
}

// letters are the dead letters that must be there.
type letters []wantedLetter

// want adds the letter of a record.
func (l *letters) want(r *kgo.Record, why letter) {
	encoding, encode := "text", func(b []byte) string { return string(b) }
	if !utf8.Valid(r.Key) || !utf8.Valid(r.Value) {
		encoding, encode = "base64", base64.StdEncoding.EncodeToString
	}
	written := ""
	if ms := r.Timestamp.UnixMilli(); !r.Timestamp.IsZero() && ms >= 0 {
		written = text(stamp{ms: ms}, sqltype.TimestampLTZType(3))
	}
	csv := layout{delimiter: ',', quote: '"'}
	*l = append(*l, wantedLetter{why, []string{
		csv.quoted(r.Topic), strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset, 10), csv.quoted(written), "",
		encoding, csv.quoted(encode(r.Key)), csv.quoted(encode(r.Value)),
	}})
}

// fits reports whether the cells of a row are those of a letter.
func (w wantedLetter) fits(cells []string) bool {
	if len(cells) != letterCells {
		return false
	}
	for i, cell := range cells {
		if i != reasonCell && cell != w.cells[i] {
			return false
		}
	}
	reason, quoted := strings.CutPrefix(cells[reasonCell], `"`)
	if quoted {
		reason = strings.ReplaceAll(strings.TrimSuffix(reason, `"`), `""`, `"`)
	}
	return w.gives(reason)
}

// cutCells cuts a row into its cells as they are written. A comma between two quotes is text.
func cutCells(row string) []string {
	var cells []string
	row = strings.TrimSuffix(row, "\n")
	begin, inside := 0, false
	for i := range len(row) {
		switch {
		case row[i] == '"':
			inside = !inside
		case row[i] == ',' && !inside:
			cells = append(cells, row[begin:i])
			begin = i + 1
		}
	}
	return append(cells, row[begin:])
}

// compareLetters compares the dead letters that must be there with those of the files, each of which may be there once.
func (r *Replayed) compareLetters(wanted letters, c chain, fsys fs.FS) error {
	r.Rows = int64(len(wanted))
	byPlace := map[string]wantedLetter{}
	for _, w := range wanted {
		byPlace[strings.Join(w.cells[:namingCells], ",")] = w
	}
	for _, file := range c.files {
		text, err := fs.ReadFile(fsys, file.Name)
		if err != nil {
			return err
		}
		for _, row := range cutRows(string(text), '"') {
			r.Found++
			cells := cutCells(row)
			place := strings.Join(cells[:min(namingCells, len(cells))], ",")
			if w, there := byPlace[place]; there && w.fits(cells) {
				delete(byPlace, place)
				continue
			}
			r.ExtraRows++
			r.Extra = append(r.Extra, Difference{Row: strings.TrimSuffix(row, "\n"), Count: 1, File: file.Name})
		}
	}
	for _, w := range wanted {
		if _, missing := byPlace[strings.Join(w.cells[:namingCells], ",")]; missing {
			r.MissingRows++
			r.Missing = append(r.Missing, Difference{Row: w.String(), Count: 1})
		}
	}
	r.Missing = r.Missing[:min(shownRows, len(r.Missing))]
	r.Extra = r.Extra[:min(shownRows, len(r.Extra))]
	return nil
}
