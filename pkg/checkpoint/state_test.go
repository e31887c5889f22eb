package checkpoint_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/ledger"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// example is the checkpoint of testdata: every field has a value.
var example = checkpoint.Checkpoint{
	ID: 42, Kind: checkpoint.Drain, Attempt: 3, MaxParallelism: 128, TriggeredMs: 1_741_089_349_000, CompletedMs: 1_741_089_349_250,
	States: []checkpoint.State{{
		Subtask: checkpoint.Subtask{VertexID: "bc764cd8ddf7a0cff126f51c16239658", Index: 1},
		Splits: []checkpoint.Split{
			{Number: 0, Topic: "sahibinden", Partition: 3, Next: 1_000_000, Stop: -1, Newest: 1_741_089_349_000, Position: []byte{1, 0, 255}},
			{Number: 7, Topic: "sahibinden", Partition: 4, Next: 12, Stop: 12, Newest: math.MinInt64, Done: true},
		},
		Ledger: ledger.Ledger{
			{Split: 0, Read: 100, Filtered: 10, Late: 5, DeadLettered: 2, Skipped: 3},
			{Split: 7, Read: 12, Lost: 1 << 33, Truncations: 2},
		},
		DeadLetters: checkpoint.Sink{
			Next: 4,
			Pending: []checkpoint.PartFile{{
				Hidden: ".part-1-1-3.inprogress.3", Name: "part-1-1-3.csv", Rows: 2, Bytes: 180, SHA256: sha256.Sum256([]byte("letters")),
			}},
			Transactions: []checkpoint.Transaction{{ID: "pencere-1-dead-1-3-0", ProducerID: 7, Epoch: 0}},
		},
	}, {
		Subtask: checkpoint.Subtask{VertexID: "0a448493b4782967b150582570326227", Index: 0},
		Keyed: []checkpoint.Keyed{
			{KeyGroups: checkpoint.KeyGroups{First: 0, Last: 63}, Handle: checkpoint.Handle{Inline: []byte{1, 2, 3}}},
			{KeyGroups: checkpoint.KeyGroups{First: 64, Last: 127}, Handle: checkpoint.Handle{Blob: checkpoint.Blob{Key: "a/chk-42/b-0-3", Size: 85 << 20, CRC32C: 0xdeadbeef}}},
		},
		Sink: checkpoint.Sink{
			Next: 9,
			Pending: []checkpoint.PartFile{{
				Hidden: ".part-1-0-8.inprogress.3", Name: "part-1-0-8.csv", Rows: 50, Bytes: 4200,
				SHA256: sha256.Sum256([]byte("rows")), WindowStart: 1_741_089_240_000, WindowEnd: 1_741_089_480_000,
			}},
			Transactions: []checkpoint.Transaction{
				{ID: "pencere-1-sink-0-3-0", ProducerID: 4711, Epoch: 5}, {ID: "pencere-1-sink-0-3-1", ProducerID: 1 << 40, Epoch: 32766},
			},
		},
		Ledger: ledger.Ledger{{Split: 0, Emitted: 50, Collapsed: 20, Open: 10}, {Split: 7, Emitted: 12}},
	}},
}

var update = flag.Bool("update", false, "write the files of the newest version that testdata lacks")

// inVersion5 returns the example without what the fifth version lacked.
func inVersion5() checkpoint.Checkpoint {
	c := example
	c.States = slices.Clone(c.States)
	for i := range c.States {
		c.States[i].Splits = slices.Clone(c.States[i].Splits)
		for j := range c.States[i].Splits {
			c.States[i].Splits[j].Position = nil
		}
	}
	return c
}

// inVersion4 returns the example without what the fourth version lacked.
func inVersion4() checkpoint.Checkpoint {
	c := inVersion5()
	for i := range c.States {
		c.States[i].Ledger = slices.Clone(c.States[i].Ledger)
		for j := range c.States[i].Ledger {
			c.States[i].Ledger[j].Lost, c.States[i].Ledger[j].Truncations = 0, 0
		}
	}
	return c
}

// inVersion3 returns the example without what the third version lacked.
func inVersion3() checkpoint.Checkpoint {
	c := inVersion4()
	for i := range c.States {
		c.States[i].Sink.Transactions, c.States[i].DeadLetters.Transactions = nil, nil
	}
	return c
}

// inVersion2 returns the example without what the second version lacked.
func inVersion2() checkpoint.Checkpoint {
	c := inVersion3()
	for i := range c.States {
		c.States[i].DeadLetters = checkpoint.Sink{}
	}
	return c
}

// inVersion1 returns the example without what the first version lacked.
func inVersion1() checkpoint.Checkpoint {
	c := inVersion2()
	for i := range c.States {
		sink := &c.States[i].Sink
		sink.Pending = slices.Clone(sink.Pending)
		for j, p := range sink.Pending {
			sink.Pending[j] = checkpoint.PartFile{Hidden: p.Hidden, Name: p.Name, Rows: p.Rows, Bytes: p.Bytes}
		}
	}
	return c
}

// Every version that there ever was is read, to the same values. The file of a version is never written again.
func TestVersions(t *testing.T) {
	newest := filepath.Join("testdata", "v6.checkpoint")
	older := map[string]checkpoint.Checkpoint{
		filepath.Join("testdata", "v1.checkpoint"): inVersion1(), filepath.Join("testdata", "v2.checkpoint"): inVersion2(),
		filepath.Join("testdata", "v3.checkpoint"): inVersion3(), filepath.Join("testdata", "v4.checkpoint"): inVersion4(),
		filepath.Join("testdata", "v5.checkpoint"): inVersion5(),
	}
	if _, err := os.Stat(newest); *update && errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(newest, example.Encode(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("testdata/v*.checkpoint")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkpoint.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		want, isOlder := older[file]
		if !isOlder {
			want = example
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		if file == newest && !bytes.Equal(example.Encode(), data) {
			t.Errorf("%s: the encoding has changed; that needs a new version", file)
		}
	}
}

func drawState(t *rapid.T) checkpoint.State {
	offset := rapid.Int64()
	s := checkpoint.State{Subtask: checkpoint.Subtask{VertexID: rapid.String().Draw(t, "vertex"), Index: rapid.IntRange(0, 9).Draw(t, "index")}}
	for number := range int32(rapid.IntRange(0, 3).Draw(t, "splits")) {
		s.Splits = append(s.Splits, checkpoint.Split{
			Number: number, Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"),
			Next: offset.Draw(t, "next"), Stop: offset.Draw(t, "stop"), Newest: offset.Draw(t, "newest"), Done: rapid.Bool().Draw(t, "done"),
		})
		var counts [8]int64
		for i := range counts {
			counts[i] = offset.Draw(t, "count")
		}
		entry := ledger.EntryOf(number, counts)
		if rapid.Bool().Draw(t, "loses") {
			entry.Lost, entry.Truncations = offset.Draw(t, "lost"), offset.Draw(t, "truncations")
		}
		s.Ledger = append(s.Ledger, entry)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "keyed") {
		k := checkpoint.Keyed{KeyGroups: checkpoint.KeyGroups{First: i * 10, Last: i*10 + 9}}
		if rapid.Bool().Draw(t, "inline") {
			k.Handle.Inline = rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "bytes")
		} else {
			k.Handle.Blob = checkpoint.Blob{
				Key: rapid.StringN(1, 9, -1).Draw(t, "key"), Size: rapid.Int64Min(0).Draw(t, "size"), CRC32C: rapid.Uint32().Draw(t, "sum"),
			}
		}
		s.Keyed = append(s.Keyed, k)
	}
	s.Sink, s.DeadLetters = drawSink(t), drawSink(t)
	return s
}

func drawSink(t *rapid.T) checkpoint.Sink {
	number := rapid.Int64()
	s := checkpoint.Sink{Next: rapid.Int64Min(0).Draw(t, "next file")}
	for range rapid.IntRange(0, 2).Draw(t, "transactions") {
		s.Transactions = append(s.Transactions, checkpoint.Transaction{
			ID: rapid.String().Draw(t, "id"), ProducerID: number.Draw(t, "producer"), Epoch: rapid.Int16Min(0).Draw(t, "epoch"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "pending") {
		s.Pending = append(s.Pending, checkpoint.PartFile{
			Hidden: rapid.String().Draw(t, "hidden"), Name: rapid.String().Draw(t, "name"), Rows: number.Draw(t, "rows"), Bytes: number.Draw(t, "bytes"),
			SHA256: sha256.Sum256(rapid.SliceOf(rapid.Byte()).Draw(t, "content")), WindowStart: number.Draw(t, "start"), WindowEnd: number.Draw(t, "end"),
		})
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := checkpoint.Checkpoint{
			ID: checkpoint.ID(rapid.Uint64Min(1).Draw(t, "id")), Kind: checkpoint.Kind(rapid.IntRange(0, 4).Draw(t, "kind")),
			Attempt: rapid.IntRange(0, 9).Draw(t, "attempt"), MaxParallelism: rapid.IntRange(1, 1<<15).Draw(t, "key groups"),
			TriggeredMs: rapid.Int64().Draw(t, "triggered"), CompletedMs: rapid.Int64().Draw(t, "completed"),
			States: rapid.SliceOfN(rapid.Custom(drawState), 1, 3).Draw(t, "states"),
		}
		data := c.Encode()
		got, err := checkpoint.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatal(diff)
		}
		damage(t, data, func(damaged []byte) error { _, err := checkpoint.Decode(damaged); return err })
	})
}

// damage changes data in one place, or cuts it, and wants read to notice.
func damage(t *rapid.T, data []byte, read func([]byte) error) {
	damaged := slices.Clone(data)
	at := rapid.IntRange(0, len(data)-1).Draw(t, "place")
	if rapid.Bool().Draw(t, "cut") {
		damaged = damaged[:at]
	} else {
		damaged[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
	}
	if err := read(damaged); err == nil {
		t.Fatalf("%d bytes, damaged at %d, are read without an error", len(data), at)
	}
}

func TestCorrupt(t *testing.T) {
	good := example.States[0].Encode()
	for _, c := range []struct {
		want   string
		change func(b []byte) []byte
	}{
		{"it does not begin as state does", func([]byte) []byte { return nil }},
		{"it does not begin as state does", func(b []byte) []byte { b[0] = 'X'; return b }},
		{"subtask state is corrupt: it is a checkpoint manifest", func([]byte) []byte { return example.Encode() }},
		{"subtask state has version 7, this program reads 1 to 6: use a newer one", func(b []byte) []byte { b[5] = 7; return b }},
		{"it ends in the middle", func(b []byte) []byte { return b[:len(b)-1] }},
		{"1 bytes follow its end", func(b []byte) []byte { return append(b, 0) }},
		{"the checksum of section 1 differs", func(b []byte) []byte { b[25] ^= 1; return b }},
		{"section 1 has 65314 bytes, but", func(b []byte) []byte { b[8] = 0xff; return b }},
	} {
		_, err := checkpoint.DecodeState(c.change(slices.Clone(good)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(example.Encode())
	f.Add(example.States[1].Encode())
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, err := checkpoint.Decode(data); err == nil {
			c.Ledger()
			_, _ = checkpoint.Redistribute(c, "v", 3, 128)
		}
		_, _ = checkpoint.DecodeState(data)
	})
}
