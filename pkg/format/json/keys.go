package json

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/zeebo/xxh3"
)

// keys finds the column of a field name. Records of one producer have their fields in one order, so it expects after each
// column the one that followed it in the record before, and compares the name with its quotes and colon in one go. Other
// names are looked up in a hash table.
type keys struct {
	known []member // by column
	table []int32  // open addressing; 1 + an index in known, 0 for none
	start member   // before the first
	last  *member  // matched last in this record
}

// member is a column's name as it stands in a record, with quotes and colon, laid out for comparison by words.
type member struct {
	text       string
	head, mask uint64 // the first eight bytes; mask leaves out those beyond the text
	tail       uint64 // the last eight, where there are more than eight
	column     *column
	next       *member // the one expected after this
}

func newMember(text string, c *column) member {
	m := member{text: text, mask: math.MaxUint64, column: c}
	var head [8]byte
	copy(head[:], text)
	m.head = binary.LittleEndian.Uint64(head[:])
	if n := len(text); n < 8 {
		m.mask = 1<<(8*n) - 1
	} else {
		m.tail = binary.LittleEndian.Uint64([]byte(text[n-8:]))
	}
	return m
}

func newKeys(columns []column) *keys {
	k := &keys{known: make([]member, len(columns))}
	size := 4
	for size < 2*len(columns) {
		size *= 2
	}
	k.table = make([]int32, size)
	escape := strings.NewReplacer(`"`, `\"`, `\`, `\\`)
	for i := range columns {
		c := &columns[i]
		k.known[i] = newMember(`"`+escape.Replace(c.name)+`":`, c)
		k.known[i].next = &k.known[(i+1)%len(columns)]
		k.table[k.slot([]byte(c.name))] = int32(i) + 1
	}
	k.start.next = &k.known[0]
	return k
}

// slot returns the place of name in the table: the one that holds it or the free one where it would be.
func (k *keys) slot(name []byte) int {
	mask := len(k.table) - 1
	at := int(xxh3.Hash(name)) & mask
	for k.table[at] != 0 && k.known[k.table[at]-1].column.name != string(name) {
		at = (at + 1) & mask
	}
	return at
}

// begin is called before a record's first name.
func (k *keys) begin() { k.last = &k.start }

// find returns the column called name, nil if there is none, and remembers the order.
func (k *keys) find(name []byte) *column {
	i := k.table[k.slot(name)]
	if i == 0 {
		return nil
	}
	found := &k.known[i-1]
	k.last.next = found
	k.last = found
	return found.column
}

// expected compares b[i:] with the expected column's name, quotes and colon. It returns the column and the position behind
// them, or nil where something else stands.
func (k *keys) expected(b []byte, i int) (*column, int) {
	m := k.last.next
	rest, n := b[i:], len(m.text)
	if len(rest) < 8 || len(rest) < n || binary.LittleEndian.Uint64(rest)&m.mask != m.head {
		return nil, i
	}
	if n > 8 && (binary.LittleEndian.Uint64(rest[n-8:]) != m.tail || n > 16 && string(rest[8:n-8]) != m.text[8:n-8]) {
		return nil, i
	}
	k.last = m
	return m.column, i + n
}
