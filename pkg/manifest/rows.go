package manifest

import "bytes"

// RowCounter counts the rows of a file that is given to it in pieces; it is an io.Writer. A row ends with a line feed
// that is not between two quotes, or with the file: quotes inside quoted text are doubled, so they need no more
// attention. The zero value counts lines.
type RowCounter struct {
	quote  byte // 0 for none
	quoted bool
	ended  int64
	open   bool // bytes came after the last row's end
}

// NewRowCounter returns a counter for a File's Quote.
func NewRowCounter(quote string) *RowCounter {
	c := &RowCounter{}
	if quote != "" {
		c.quote = quote[0]
	}
	return c
}

// Write takes the next bytes of the file. It never fails.
func (c *RowCounter) Write(piece []byte) (int, error) {
	written := len(piece)
	for len(piece) > 0 {
		plain, rest := piece, []byte(nil)
		if c.quote != 0 {
			if i := bytes.IndexByte(piece, c.quote); i >= 0 {
				plain, rest = piece[:i+1], piece[i+1:]
			}
		}
		c.open = true
		if !c.quoted {
			c.ended += int64(bytes.Count(plain, lineFeed))
			c.open = plain[len(plain)-1] != '\n'
		}
		if c.quote != 0 && plain[len(plain)-1] == c.quote {
			c.quoted = !c.quoted
		}
		piece = rest
	}
	return written, nil
}

var lineFeed = []byte{'\n'}

// Rows returns the rows so far.
func (c *RowCounter) Rows() int64 {
	if c.open {
		return c.ended + 1
	}
	return c.ended
}
