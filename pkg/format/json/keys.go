package json

import (
	"strings"

	"github.com/zeebo/xxh3"
)

// keys finds the column of a field name. Records of one producer have their fields in one order, so it expects after each
// column the one that followed it in the record before, and compares the name with its quotes and colon in one go. Other
// names are looked up in a hash table.
type keys struct {
	names   []string
	quoted  []string // names as they stand in a record, with the colon
	follows []int32  // the column expected after column i at i+1, at 0 the first
	last    int32    // 1 + the column matched last in this record
	table   []int32  // open addressing; 1 + column, 0 for none
}

func newKeys(names []string) keys {
	k := keys{names: names, quoted: make([]string, len(names)), follows: make([]int32, len(names)+1)}
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	k.table = make([]int32, size)
	escape := strings.NewReplacer(`"`, `\"`, `\`, `\\`)
	for i, name := range names {
		k.quoted[i] = `"` + escape.Replace(name) + `":`
		k.follows[i] = int32(i)
		slot := k.slot([]byte(name))
		k.table[slot] = int32(i) + 1
	}
	return k
}

// slot returns the place of name in the table: the one that holds it or the free one where it would be.
func (k *keys) slot(name []byte) int {
	mask := len(k.table) - 1
	at := int(xxh3.Hash(name)) & mask
	for k.table[at] != 0 && k.names[k.table[at]-1] != string(name) {
		at = (at + 1) & mask
	}
	return at
}

// find returns the column called name, or none, and remembers the order.
func (k *keys) find(name []byte) int {
	i := k.table[k.slot(name)]
	if i == 0 {
		return none
	}
	k.follows[k.last] = i - 1
	k.last = i
	return int(i - 1)
}

// expected reports whether the expected column's name, quotes and colon stand at b[i:], and returns the column and the
// position behind them.
func (k *keys) expected(b []byte, i int) (column, next int, ok bool) {
	g := k.follows[k.last]
	q := k.quoted[g]
	next = i + len(q)
	if next > len(b) || string(b[i:next]) != q {
		return 0, i, false
	}
	k.last = g + 1
	return int(g), next, true
}
