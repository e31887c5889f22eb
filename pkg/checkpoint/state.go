package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"pencere/pkg/ledger"
)

// The sections of a State. Each is there at most once; the first always, the others when they are not empty.
const (
	tagSubtask = iota + 1
	tagSplits
	tagKeyed
	tagSinkV1 // without digests; only read
	tagLedger
	tagSink
	tagDeadLetters
	tagTransactions
	tagDeadLetterTransactions
	tagLosses
	tagPositions
)

var stateSections = [...]string{
	tagSubtask: "subtask", tagSplits: "splits", tagKeyed: "keyed state", tagSinkV1: "sink", tagLedger: "ledger",
	tagSink: "sink", tagDeadLetters: "dead letters", tagTransactions: "transactions", tagDeadLetterTransactions: "transactions of dead letters",
	tagLosses: "losses", tagPositions: "positions",
}

// Encode returns the bytes of a state, for an ack and for what keeps it.
func (s State) Encode() []byte {
	dst := preambleOf(formatState)
	subtask := AppendText(nil, s.Subtask.VertexID)
	dst = appendSection(dst, tagSubtask, binary.AppendUvarint(subtask, uint64(s.Subtask.Index)))
	if len(s.Splits) > 0 {
		dst = appendSection(dst, tagSplits, appendSplits(nil, s.Splits))
	}
	if positioned(s.Splits) {
		dst = appendSection(dst, tagPositions, appendPositions(nil, s.Splits))
	}
	if len(s.Keyed) > 0 {
		dst = appendSection(dst, tagKeyed, appendKeyed(nil, s.Keyed))
	}
	if !s.Sink.hasNoFiles() {
		dst = appendSection(dst, tagSink, appendSink(nil, s.Sink))
	}
	if !s.DeadLetters.hasNoFiles() {
		dst = appendSection(dst, tagDeadLetters, appendSink(nil, s.DeadLetters))
	}
	if len(s.Sink.Transactions) > 0 {
		dst = appendSection(dst, tagTransactions, appendTransactions(nil, s.Sink.Transactions))
	}
	if len(s.DeadLetters.Transactions) > 0 {
		dst = appendSection(dst, tagDeadLetterTransactions, appendTransactions(nil, s.DeadLetters.Transactions))
	}
	if len(s.Ledger) > 0 {
		dst = appendSection(dst, tagLedger, appendLedger(nil, s.Ledger))
	}
	if losses := lossesOf(s.Ledger); len(losses) > 0 {
		dst = appendSection(dst, tagLosses, appendLosses(nil, losses))
	}
	return appendSection(dst, tagEnd, nil)
}

// DecodeState is the inverse of State.Encode, of any version. The state shares data's memory.
func DecodeState(data []byte) (State, error) {
	var s State
	seen := [len(stateSections)]bool{}
	err := eachSection(formatState, data, func(tag byte, payload []byte) error {
		if tag == tagEnd || int(tag) >= len(stateSections) {
			return &CorruptError{What: formatState.String(), Reason: fmt.Sprintf("section %d is unknown", tag)}
		}
		d := NewDecoder("subtask state: "+stateSections[tag], payload)
		if seen[tag] {
			d.Fail("the section is there twice")
		}
		seen[tag] = true
		switch tag {
		case tagSubtask:
			s.Subtask = Subtask{VertexID: d.Text(), Index: d.Int(math.MaxInt32)}
		case tagSplits:
			s.Splits = readSplits(d)
		case tagPositions:
			readPositions(d, s.Splits)
		case tagKeyed:
			s.Keyed = readKeyed(d)
		case tagSinkV1:
			s.Sink.readFiles(d, readPartFileV1)
		case tagTransactions:
			s.Sink.Transactions = readTransactions(d)
		case tagDeadLetterTransactions:
			s.DeadLetters.Transactions = readTransactions(d)
		case tagSink:
			s.Sink.readFiles(d, readPartFile)
		case tagDeadLetters:
			s.DeadLetters.readFiles(d, readPartFile)
		case tagLedger:
			s.Ledger.Merge(readLedger(d))
		case tagLosses:
			s.Ledger.Merge(readLosses(d))
		}
		return d.Finish()
	})
	if err == nil && !seen[tagSubtask] {
		err = &CorruptError{What: formatState.String(), Reason: "it names no subtask"}
	}
	if err != nil {
		return State{}, err
	}
	return s, nil
}

func appendSplits(dst []byte, splits []Split) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(splits)))
	for _, s := range splits {
		dst = binary.AppendUvarint(dst, uint64(s.Number))
		dst = AppendText(dst, s.Topic)
		dst = binary.AppendVarint(dst, int64(s.Partition))
		dst = binary.AppendVarint(dst, s.Next)
		dst = binary.AppendVarint(dst, s.Stop)
		dst = binary.AppendVarint(dst, s.Newest)
		dst = AppendBool(dst, s.Done)
	}
	return dst
}

func readSplits(d *Decoder) []Split {
	splits := make([]Split, d.Count(7))
	for i := range splits {
		splits[i] = Split{
			Number: int32(d.Int(math.MaxInt32)), Topic: d.Text(), Partition: d.Int32(),
			Next: d.Varint(), Stop: d.Varint(), Newest: d.Varint(), Done: d.Bool(),
		}
	}
	return splits
}

// positioned reports whether a split's position is more than an offset.
func positioned(splits []Split) bool {
	return slices.ContainsFunc(splits, func(s Split) bool { return len(s.Position) > 0 })
}

// appendPositions writes the positions of all splits, in their order.
func appendPositions(dst []byte, splits []Split) []byte {
	for _, s := range splits {
		dst = AppendText(dst, s.Position)
	}
	return dst
}

// readPositions reads positions behind the splits that they belong to.
func readPositions(d *Decoder, splits []Split) {
	for i := range splits {
		if position := d.Bytes(); len(position) > 0 {
			splits[i].Position = position
		}
	}
}

// The forms of a handle.
const (
	handleInline = iota
	handleBlob
)

func appendKeyed(dst []byte, keyed []Keyed) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(keyed)))
	for _, k := range keyed {
		dst = binary.AppendUvarint(dst, uint64(k.KeyGroups.First))
		dst = binary.AppendUvarint(dst, uint64(k.KeyGroups.Last))
		if !k.Handle.IsBlob() {
			dst = AppendText(append(dst, handleInline), k.Handle.Inline)
			continue
		}
		dst = AppendText(append(dst, handleBlob), k.Handle.Blob.Key)
		dst = binary.AppendVarint(dst, k.Handle.Blob.Size)
		dst = binary.LittleEndian.AppendUint32(dst, k.Handle.Blob.CRC32C)
	}
	return dst
}

func readKeyed(d *Decoder) []Keyed {
	keyed := make([]Keyed, d.Count(4))
	for i := range keyed {
		keyed[i] = Keyed{KeyGroups: KeyGroups{First: d.Int(math.MaxInt32), Last: d.Int(math.MaxInt32)}, Handle: readHandle(d)}
	}
	return keyed
}

func readHandle(d *Decoder) Handle {
	switch form := d.Int(handleBlob); form {
	case handleInline:
		return Handle{Inline: d.Bytes()}
	default:
		blob := Blob{Key: d.Text(), Size: d.Varint(), CRC32C: d.Uint32()}
		if d.Err() == nil && (blob.Key == "" || blob.Size < 0) {
			d.Fail("blob %q of %d bytes", blob.Key, blob.Size)
		}
		return Handle{Blob: blob}
	}
}

// hasNoFiles reports whether the sink has nothing of files.
func (s Sink) hasNoFiles() bool { return len(s.Pending) == 0 && s.Next == 0 }

func appendSink(dst []byte, s Sink) []byte {
	dst = binary.AppendVarint(dst, s.Next)
	dst = binary.AppendUvarint(dst, uint64(len(s.Pending)))
	for _, p := range s.Pending {
		dst = AppendText(AppendText(dst, p.Hidden), p.Name)
		dst = binary.AppendVarint(binary.AppendVarint(dst, p.Rows), p.Bytes)
		dst = append(dst, p.SHA256[:]...)
		dst = binary.AppendVarint(binary.AppendVarint(dst, p.WindowStart), p.WindowEnd)
	}
	return dst
}

func appendTransactions(dst []byte, transactions []Transaction) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(transactions)))
	for _, t := range transactions {
		dst = binary.AppendVarint(AppendText(dst, t.ID), t.ProducerID)
		dst = binary.AppendVarint(dst, int64(t.Epoch))
	}
	return dst
}

func readTransactions(d *Decoder) []Transaction {
	transactions := make([]Transaction, d.Count(3))
	for i := range transactions {
		transactions[i] = Transaction{ID: d.Text(), ProducerID: d.Varint()}
		epoch := d.Varint()
		if epoch < 0 || epoch > math.MaxInt16 {
			d.Fail("epoch %d", epoch)
		}
		transactions[i].Epoch = int16(epoch)
	}
	return transactions
}

// readFiles reads what a sink has of files.
func (s *Sink) readFiles(d *Decoder, readPartFile func(*Decoder) PartFile) {
	s.Next = d.Varint()
	if n := d.Count(4); n > 0 {
		s.Pending = make([]PartFile, n)
	}
	for i := range s.Pending {
		s.Pending[i] = readPartFile(d)
	}
}

func readPartFileV1(d *Decoder) PartFile {
	return PartFile{Hidden: d.Text(), Name: d.Text(), Rows: d.Varint(), Bytes: d.Varint()}
}

func readPartFile(d *Decoder) PartFile {
	p := readPartFileV1(d)
	copy(p.SHA256[:], d.Fixed(len(p.SHA256)))
	p.WindowStart, p.WindowEnd = d.Varint(), d.Varint()
	return p
}

func appendLedger(dst []byte, l ledger.Ledger) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, e := range l {
		dst = binary.AppendUvarint(dst, uint64(e.Split))
		for _, n := range e.Counts() {
			dst = binary.AppendVarint(dst, n)
		}
	}
	return dst
}

func readLedger(d *Decoder) ledger.Ledger {
	l := make(ledger.Ledger, d.Count(9))
	for i := range l {
		split := int32(d.Int(math.MaxInt32))
		var counts [8]int64
		for j := range counts {
			counts[j] = d.Varint()
		}
		l[i] = ledger.EntryOf(split, counts)
		checkOrder(d, l, i)
	}
	return l
}

// checkOrder fails unless entry i is of a later split than the one before.
func checkOrder(d *Decoder, l ledger.Ledger, i int) {
	if i > 0 && d.Err() == nil && l[i-1].Split >= l[i].Split {
		d.Fail("split %d follows split %d", l[i].Split, l[i-1].Split)
	}
}

// lossesOf returns the entries that have lost something.
func lossesOf(l ledger.Ledger) ledger.Ledger {
	return slices.DeleteFunc(slices.Clone(l), func(e ledger.Entry) bool { return e.Lost == 0 && e.Truncations == 0 })
}

func appendLosses(dst []byte, l ledger.Ledger) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(l)))
	for _, e := range l {
		dst = binary.AppendUvarint(dst, uint64(e.Split))
		dst = binary.AppendVarint(binary.AppendVarint(dst, e.Lost), e.Truncations)
	}
	return dst
}

func readLosses(d *Decoder) ledger.Ledger {
	l := make(ledger.Ledger, d.Count(3))
	for i := range l {
		l[i] = ledger.Entry{Split: int32(d.Int(math.MaxInt32)), Lost: d.Varint(), Truncations: d.Varint()}
		checkOrder(d, l, i)
	}
	return l
}
