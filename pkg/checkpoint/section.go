package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A file of state is a preamble and sections:
//
//	preamble  "PNCR", the format (1 byte), the version (1 byte)
//	section   its tag (1 byte), the payload's length (8 bytes), the CRC-32C of tag, length and payload (4 bytes), the payload
//
// A file in memory ends with an empty section of tag 0; one that is read in parts ends with a footer: see KeyedWriter.
const magic = "PNCR"

// format says what a file is.
type format byte

const (
	formatState     format = 'S'
	formatKeyed     format = 'K'
	formatManifest  format = 'M'
	formatSavepoint format = 'P'
)

func (f format) String() string {
	switch f {
	case formatState:
		return "subtask state"
	case formatKeyed:
		return "keyed state"
	case formatManifest:
		return "checkpoint manifest"
	case formatSavepoint:
		return "savepoint"
	default:
		return fmt.Sprintf("format %q", byte(f))
	}
}

// version returns the newest version of a format. Version 2 of a subtask's state has digests of part files, version 3 part files of
// dead letters, version 4 transactions, version 5 what was lost, version 6
// positions that an offset cannot hold.
func (f format) version() byte {
	if f == formatState {
		return 6
	}
	return 1
}

const (
	preambleSize      = len(magic) + 2
	sectionHeaderSize = 1 + 8 + 4
	tagEnd            = 0
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// preambleOf returns what a file of format f begins with.
func preambleOf(f format) []byte {
	return append([]byte(magic), byte(f), f.version())
}

// checkPreamble says why a file cannot be read that should be of format f.
func checkPreamble(f format, preamble []byte) error {
	what := f.String()
	switch {
	case len(preamble) < preambleSize || string(preamble[:len(magic)]) != magic:
		return &CorruptError{What: what, Reason: "it does not begin as state does"}
	case format(preamble[len(magic)]) != f:
		return &CorruptError{What: what, Reason: fmt.Sprintf("it is a %s", format(preamble[len(magic)]))}
	}
	if v := int(preamble[len(magic)+1]); v < 1 || v > int(f.version()) {
		return fmt.Errorf("%s has version %d, this program reads 1 to %d: use a newer one", what, v, f.version())
	}
	return nil
}

func sectionHeader(tag byte, payload []byte) (header [sectionHeaderSize]byte) {
	header[0] = tag
	binary.LittleEndian.PutUint64(header[1:], uint64(len(payload)))
	binary.LittleEndian.PutUint32(header[9:], sectionSum(header[:9], payload))
	return header
}

func sectionSum(tagAndLength, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(tagAndLength, castagnoli), castagnoli, payload)
}

func appendSection(dst []byte, tag byte, payload []byte) []byte {
	header := sectionHeader(tag, payload)
	return append(append(dst, header[:]...), payload...)
}

// nextSection takes a section from the front of data.
func nextSection(f format, data []byte) (tag byte, payload, rest []byte, err error) {
	if len(data) < sectionHeaderSize {
		return 0, nil, nil, &CorruptError{What: f.String(), Reason: "it ends in the middle"}
	}
	length := binary.LittleEndian.Uint64(data[1:])
	body := data[sectionHeaderSize:]
	if length > uint64(len(body)) {
		return 0, nil, nil, &CorruptError{What: f.String(), Reason: fmt.Sprintf("section %d has %d bytes, but %d follow", data[0], length, len(body))}
	}
	payload, rest = body[:length:length], body[length:]
	if sectionSum(data[:9], payload) != binary.LittleEndian.Uint32(data[9:]) {
		return 0, nil, nil, &CorruptError{What: f.String(), Reason: fmt.Sprintf("the checksum of section %d differs", data[0])}
	}
	return data[0], payload, rest, nil
}

// eachSection reads a file in memory, down to its end.
func eachSection(f format, data []byte, read func(tag byte, payload []byte) error) error {
	if err := checkPreamble(f, data); err != nil {
		return err
	}
	data = data[preambleSize:]
	for {
		tag, payload, rest, err := nextSection(f, data)
		if err != nil {
			return err
		}
		if tag == tagEnd {
			if len(payload)+len(rest) > 0 {
				return &CorruptError{What: f.String(), Reason: fmt.Sprintf("%d bytes follow its end", len(payload)+len(rest))}
			}
			return nil
		}
		if err := read(tag, payload); err != nil {
			return err
		}
		data = rest
	}
}
