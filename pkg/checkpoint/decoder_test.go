package checkpoint_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"pencere/pkg/checkpoint"
)

func TestDecoderBounds(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<62)
	for name, read := range map[string]func(*checkpoint.Decoder){
		"uvarint": func(d *checkpoint.Decoder) { d.Uvarint() },
		"varint":  func(d *checkpoint.Decoder) { d.Varint() },
		"int32":   func(d *checkpoint.Decoder) { d.Int32() },
		"int":     func(d *checkpoint.Decoder) { d.Int(1 << 20) },
		"count":   func(d *checkpoint.Decoder) { d.Count(1) },
		"bytes":   func(d *checkpoint.Decoder) { d.Bytes() },
		"text":    func(d *checkpoint.Decoder) { _ = d.Text() },
		"bool":    func(d *checkpoint.Decoder) { d.Bool() },
		"uint32":  func(d *checkpoint.Decoder) { d.Uint32() },
		"uint64":  func(d *checkpoint.Decoder) { d.Uint64() },
	} {
		empty := checkpoint.NewDecoder("x", nil)
		read(empty)
		if _, corrupt := errors.AsType[*checkpoint.CorruptError](empty.Err()); !corrupt {
			t.Errorf("%s of nothing: %v", name, empty.Err())
		}
		d := checkpoint.NewDecoder("x", huge)
		read(d)
		if unbounded := name == "uvarint" || name == "varint" || name == "uint32" || name == "uint64"; (d.Err() == nil) != unbounded {
			t.Errorf("%s of 1<<62: %v", name, d.Err())
		}
	}
}

func TestDecoderSaysWhere(t *testing.T) {
	d := checkpoint.NewDecoder("a split", checkpoint.AppendBool(checkpoint.AppendText(nil, "abc"), true))
	if d.Text() != "abc" || !d.Bool() || d.Finish() != nil {
		t.Fatal(d.Err())
	}
	d.Uvarint()
	if want := "a split is corrupt: byte 5: no number"; d.Err() == nil || d.Err().Error() != want {
		t.Errorf("error is %v, want %s", d.Err(), want)
	}
	if d.Varint() != 0 || d.Text() != "" || d.Bool() {
		t.Error("values after an error")
	}
	d = checkpoint.NewDecoder("a split", []byte{1, 2})
	d.Bool()
	if want := "a split is corrupt: byte 1: 1 bytes too many"; d.Finish() == nil || d.Err().Error() != want {
		t.Errorf("error is %v, want %s", d.Err(), want)
	}
}
