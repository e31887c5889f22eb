package polling

import (
	"encoding/binary"
	"fmt"
	"slices"

	"pencere/pkg/checkpoint"
)

// Position is how far a URL was read: the part of a source's state that an offset cannot hold.
type Position struct {
	// PolledMs is when the newest poll began, in ms since 1970; 0 before the first.
	PolledMs int64
	// ETag and LastModified are the validators of the newest poll that is complete; "" for none.
	ETag, LastModified string
	// Refused is the digest of the answer that was refused last; 0 when the newest was not.
	Refused Digest
	// UnderWay is the poll that is not complete; nil between polls.
	UnderWay *Progress
	// Seen are the items that came; nil for a source that does not look for repeats.
	Seen *Seen
}

// Progress is how far a poll is.
type Progress struct {
	Page   string // address of the page being read
	Number int    // of pages before it
	// Taken counts the items of the page that were read, Body is the digest of the answer that had them.
	Taken int
	Body  Digest
	// Sent are the digests of the items taken, the first MostSent of them, for a page that was answered otherwise when it is read again.
	Sent []Digest
}

// MostSent bounds Progress.Sent: 512 KiB of state.
const MostSent = 1 << 16

// Take notes that the next item of the page was read.
func (p *Progress) Take(item Digest) {
	p.Taken++
	if len(p.Sent) < MostSent {
		p.Sent = append(p.Sent, item)
	}
}

// Resume begins to read the page's items, again after a restore, and returns those that are left. Of the same answer these are all
// behind those taken. Of another one they are those that were not taken as they are now, each once for each time that it was.
func (p *Progress) Resume(body Digest, items [][]byte) [][]byte {
	switch {
	case p.Taken == 0:
		p.Body = body
		return items
	case p.Body == body:
		return items[min(p.Taken, len(items)):]
	}
	p.Body = 0 // no answer has these items taken first
	taken := make(map[Digest]int)
	for _, d := range p.Sent {
		taken[d]++
	}
	return slices.DeleteFunc(slices.Clone(items), func(item []byte) bool {
		d := DigestOf(item)
		if taken[d] == 0 {
			return false
		}
		taken[d]--
		return true
	})
}

const positionVersion = 1

// Encode returns the bytes of the position.
func (p Position) Encode() []byte {
	dst := []byte{positionVersion}
	dst = binary.AppendVarint(dst, p.PolledMs)
	dst = checkpoint.AppendText(checkpoint.AppendText(dst, p.ETag), p.LastModified)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(p.Refused))
	dst = checkpoint.AppendBool(dst, p.UnderWay != nil)
	if u := p.UnderWay; u != nil {
		dst = checkpoint.AppendText(dst, u.Page)
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(u.Number)), uint64(u.Taken))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(u.Body))
		dst = binary.AppendUvarint(dst, uint64(len(u.Sent)))
		for _, d := range u.Sent {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(d))
		}
	}
	if p.Seen == nil {
		return binary.AppendUvarint(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(p.Seen.Len()))
	for e := p.Seen.order.Back(); e != nil; e = e.Prev() { // the oldest first, as they came
		s := e.Value.(sighting)
		dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, uint64(s.key)), uint64(s.item))
	}
	return dst
}

// DecodePosition is the inverse of Encode. seen is how many keys the source remembers now, 0 for one that does not look for
// repeats: then those of the position are left out. No bytes are the position of a URL that was never read.
func DecodePosition(data []byte, seen int) (Position, error) {
	var p Position
	if seen > 0 {
		p.Seen = NewSeen(seen)
	}
	if len(data) == 0 {
		return p, nil
	}
	if data[0] != positionVersion {
		return Position{}, fmt.Errorf("position of an HTTP source has version %d, this program reads %d: use a newer one", data[0], positionVersion)
	}
	d := checkpoint.NewDecoder("position of an HTTP source", data[1:])
	p.PolledMs, p.ETag, p.LastModified, p.Refused = d.Varint(), d.Text(), d.Text(), Digest(d.Uint64())
	if d.Bool() {
		p.UnderWay = &Progress{Page: d.Text(), Number: d.Int(1 << 31), Taken: d.Int(1 << 31), Body: Digest(d.Uint64())}
		p.UnderWay.Sent = make([]Digest, d.Count(8))
		for i := range p.UnderWay.Sent {
			p.UnderWay.Sent[i] = Digest(d.Uint64())
		}
	}
	for range d.Count(16) {
		key, item := Digest(d.Uint64()), Digest(d.Uint64())
		if p.Seen != nil {
			p.Seen.Observe(key, item)
		}
	}
	if p.Seen != nil {
		p.Seen.forgotten = 0
	}
	if err := d.Finish(); err != nil {
		return Position{}, err
	}
	return p, nil
}
