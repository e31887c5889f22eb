package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The sections of a Checkpoint: the first once, then one for each state.
const (
	tagCheckpoint = iota + 1
	tagState
)

// Encode returns the bytes of a checkpoint, for the replicated log and for a savepoint's file.
func (c Checkpoint) Encode() []byte {
	head := binary.AppendUvarint(nil, uint64(c.ID))
	head = append(head, byte(c.Kind))
	head = binary.AppendUvarint(head, uint64(c.Attempt))
	head = binary.AppendUvarint(head, uint64(c.MaxParallelism))
	head = binary.AppendVarint(binary.AppendVarint(head, c.TriggeredMs), c.CompletedMs)
	dst := appendSection(preambleOf(formatManifest), tagCheckpoint, head)
	for _, s := range c.States {
		dst = appendSection(dst, tagState, s.Encode())
	}
	return appendSection(dst, tagEnd, nil)
}

// Decode is the inverse of Checkpoint.Encode, of any version. The checkpoint shares data's memory.
func Decode(data []byte) (Checkpoint, error) {
	var c Checkpoint
	err := eachSection(formatManifest, data, func(tag byte, payload []byte) error {
		switch {
		case tag == tagCheckpoint && c.ID == 0:
			return c.readHead(payload)
		case tag == tagState && c.ID > 0:
			state, err := DecodeState(payload)
			if err != nil {
				return fmt.Errorf("checkpoint %d: state %d: %w", c.ID, len(c.States), err)
			}
			c.States = append(c.States, state)
			return nil
		default:
			return &CorruptError{What: formatManifest.String(), Reason: fmt.Sprintf("section %d is not expected", tag)}
		}
	})
	if err == nil && c.ID == 0 {
		err = &CorruptError{What: formatManifest.String(), Reason: "it names no checkpoint"}
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

func (c *Checkpoint) readHead(payload []byte) error {
	d := NewDecoder("checkpoint manifest: head", payload)
	*c = Checkpoint{
		ID: ID(d.Uvarint()), Kind: Kind(d.Int(int(HandOver))), Attempt: d.Int(math.MaxInt32), MaxParallelism: d.Int(math.MaxInt32),
		TriggeredMs: d.Varint(), CompletedMs: d.Varint(),
	}
	if c.ID == 0 {
		d.Fail("checkpoint 0")
	}
	return d.Finish()
}
