package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"pencere/pkg/sqltype"
)

// Encode writes the job as JSON, which Decode reads back without loss. Types are written by their SQL names, so
// that a stored job outlives a change of their numbering. It fails only for a number that JSON has no form for.
func (j Job) Encode() ([]byte, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode job %q: %w", j.Name, err)
	}
	return text, nil
}

// Decode reads what Encode wrote. A field that it does not know is an error: an older program must not run half of
// a newer job. A setting of checkpoints that an older program did not know has its default.
func Decode(text []byte) (Job, error) {
	j := Job{Checkpoint: Checkpoint{Timeout: DefaultCheckpointTimeout, Retained: DefaultRetained}}
	if err := decodeStrictly(text, &j); err != nil {
		return Job{}, fmt.Errorf("decode job: %w", err)
	}
	return j, nil
}

func decodeStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the end of the value")
	}
	return nil
}

// plainSource is Source without its methods.
type plainSource Source

// storedSource is Source as it is stored: its schema shadows the other.
type storedSource struct {
	plainSource
	Schema []storedColumn
}

type storedColumn struct{ Name, Type string }

// MarshalJSON implements json.Marshaler.
func (s Source) MarshalJSON() ([]byte, error) {
	stored := storedSource{plainSource: plainSource(s)}
	for _, column := range s.Schema {
		stored.Schema = append(stored.Schema, storedColumn{Name: column.Name, Type: column.Type.String()})
	}
	return json.Marshal(stored)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Source) UnmarshalJSON(text []byte) error {
	var stored storedSource
	if err := decodeStrictly(text, &stored); err != nil {
		return err
	}
	*s = Source(stored.plainSource)
	for _, column := range stored.Schema {
		t, err := sqltype.Parse(column.Type)
		if err != nil {
			return fmt.Errorf("column %q: %w", column.Name, err)
		}
		s.Schema = append(s.Schema, sqltype.Column{Name: column.Name, Type: t})
	}
	return nil
}
