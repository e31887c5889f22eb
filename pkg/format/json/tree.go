package json

import (
	"bytes"
	"math"

	"pencere/pkg/javafmt"
)

// tree writes an object or array anew as Jackson prints a tree that it has read, which is what Flink puts into a text
// column: no blanks, escapes undone but those that JSON demands, fractional numbers as Java prints a double, and of
// members with one name the last value in the first one's place. It works without recursion.
type tree struct {
	nodes   []node
	serial  int32                // of the node added last
	members map[treeMember]int32 // the nodes of objects' members, to find repeated names
	arena   []byte               // names and scalars as they will be printed
	scratch []byte
	out     []byte
}

// node is a value; its text is empty for an object or array.
type node struct {
	bracket       byte  // '{', '[', or 0 for a scalar
	id            int32 // unlike its index it changes with a member's value
	name, text    span  // in arena; name is empty for what is no member
	parent        int32
	next          int32 // the following sibling
	first, latest int32 // children
}

type span struct{ from, to int }

type treeMember struct {
	object int32 // its id
	name   string
}

// nobody stands for no node.
const nobody = -1

// manyNodes is the size of a tree beyond which its memory is not kept for the next.
const manyNodes = 4096

// rewrite returns the text of the well-formed container b. The result is good until the next call.
func (t *tree) rewrite(b []byte) []byte {
	if t.members == nil || len(t.nodes) > manyNodes {
		*t = tree{members: make(map[treeMember]int32)}
	}
	t.nodes, t.serial, t.arena, t.out = t.nodes[:0], 0, t.arena[:0], t.out[:0]
	clear(t.members)
	t.read(b)
	t.print()
	return t.out
}

// read makes the nodes of b.
func (t *tree) read(b []byte) {
	parent := int32(nobody)
	var name span
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case isBlank(c), c == ',', c == ':':
			i++
		case c == '}', c == ']':
			parent = t.nodes[parent].parent
			i++
		case c == '{', c == '[':
			parent = t.add(parent, node{bracket: c, name: name})
			name = span{}
			i++
		case c == '"' && parent != nobody && t.nodes[parent].bracket == '{' && name.to == 0:
			name, i = t.quoted(b, i)
		default:
			n := node{name: name}
			n.text, i = t.scalar(b, i)
			t.add(parent, n)
			name = span{}
		}
	}
}

// add puts n under its parent, in the place of a member of the same name if there is one.
func (t *tree) add(parent int32, n node) int32 {
	at := int32(len(t.nodes))
	n.parent, n.next, n.first, n.latest = parent, nobody, nobody, nobody
	t.serial++
	n.id = t.serial
	if n.name.to > 0 {
		m := treeMember{t.nodes[parent].id, string(t.arena[n.name.from:n.name.to])}
		if old, ok := t.members[m]; ok {
			n.next = t.nodes[old].next
			t.nodes[old] = n
			return old
		}
		t.members[m] = at
	}
	t.nodes = append(t.nodes, n)
	if parent == nobody {
		return at
	}
	p := &t.nodes[parent]
	if p.first == nobody {
		p.first = at
	} else {
		t.nodes[p.latest].next = at
	}
	p.latest = at
	return at
}

// scalar puts the scalar at i into the arena as it will be printed.
func (t *tree) scalar(b []byte, i int) (text span, next int) {
	if b[i] == '"' {
		return t.quoted(b, i)
	}
	end := i + bytes.IndexAny(b[i:], ",]} \t\r\n")
	from := len(t.arena)
	word := b[i:end]
	switch {
	case word[0] != '-' && word[0]-'0' > 9:
		t.arena = append(t.arena, word...)
	case bytes.ContainsAny(word, ".eE"):
		t.arena = appendJavaDouble(t.arena, parseFloat(word, 64))
	case string(word) == "-0":
		t.arena = append(t.arena, '0')
	default:
		t.arena = append(t.arena, word...)
	}
	return span{from, len(t.arena)}, end
}

// appendJavaDouble appends a tree's double: one that is too large for the type prints as a string.
func appendJavaDouble(dst []byte, f float64) []byte {
	if math.IsInf(f, 0) {
		dst = append(dst, '"')
		return append(javafmt.AppendDouble(dst, f), '"')
	}
	return javafmt.AppendDouble(dst, f)
}

// quoted puts the string at i into the arena with its quotes.
func (t *tree) quoted(b []byte, i int) (text span, next int) {
	end, escaped, _ := scanString(b, i+1)
	raw := b[i+1 : end]
	if escaped {
		t.scratch, _ = appendUnescaped(t.scratch[:0], raw)
		raw = t.scratch
	}
	from := len(t.arena)
	t.arena = appendQuoted(t.arena, raw)
	return span{from, len(t.arena)}, end + 1
}

func appendQuoted(dst, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c >= '\b' && c <= '\r' && c != '\v':
			dst = append(dst, '\\', "btn-fr"[c-'\b'])
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(dst, '"')
}

// print writes the nodes, the root first.
func (t *tree) print() {
	for at := int32(0); at != nobody; {
		n := &t.nodes[at]
		if n.name.to > 0 {
			t.out = append(append(t.out, t.arena[n.name.from:n.name.to]...), ':')
		}
		if n.bracket == 0 {
			t.out = append(t.out, t.arena[n.text.from:n.text.to]...)
			at = t.following(at)
			continue
		}
		t.out = append(t.out, n.bracket)
		if n.first != nobody {
			at = n.first
			continue
		}
		t.out = append(t.out, n.bracket+2) // in ASCII '}' is '{' + 2, and ']' is '[' + 2
		at = t.following(at)
	}
}

// following writes what stands between a finished node and the next, which it returns.
func (t *tree) following(at int32) int32 {
	for {
		if next := t.nodes[at].next; next != nobody {
			t.out = append(t.out, ',')
			return next
		}
		if at = t.nodes[at].parent; at == nobody {
			return nobody
		}
		t.out = append(t.out, t.nodes[at].bracket+2)
	}
}
