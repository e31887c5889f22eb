//go:build jdk

package javafmt_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"pencere/pkg/javafmt"
)

// The differential test against the machine's own JDK, which must be 17, is run by make jdk.
var (
	count = flag.Int("count-values", 1_000_000, "how many random values to compare with the JDK")
	seed  = flag.Uint64("seed", 1, "seed of the random values")
)

func TestDoubleAgainstJDK(t *testing.T) {
	compareWithJDK(t, "double", func(dst []byte, random *rand.Rand) []byte {
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(randomDouble(random)))
	}, func(in io.Reader) ([]byte, error) {
		var pattern uint64
		err := binary.Read(in, binary.BigEndian, &pattern)
		return javafmt.AppendDouble(nil, math.Float64frombits(pattern)), err
	})
}

func TestFloatAgainstJDK(t *testing.T) {
	compareWithJDK(t, "float", func(dst []byte, random *rand.Rand) []byte {
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(randomFloat(random)))
	}, func(in io.Reader) ([]byte, error) {
		var pattern uint32
		err := binary.Read(in, binary.BigEndian, &pattern)
		return javafmt.AppendFloat(nil, math.Float32frombits(pattern)), err
	})
}

// compareWithJDK sends the patterns that generate appends to the Java program, and compares its lines with what next
// makes of the same patterns.
func compareWithJDK(t *testing.T, kind string, generate func([]byte, *rand.Rand) []byte, next func(io.Reader) ([]byte, error)) {
	java := exec.Command("java", "testdata/ToString.java", kind)
	java.Stderr = os.Stderr
	input, err := java.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := java.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := java.Start(); err != nil {
		t.Fatalf("start a JDK 17's java: %v", err)
	}
	send := func(to io.WriteCloser) {
		buffered, random := bufio.NewWriterSize(to, 1<<16), rand.New(rand.NewPCG(*seed, 0))
		var pattern []byte
		for range *count {
			pattern = generate(pattern[:0], random)
			if _, err := buffered.Write(pattern); err != nil {
				break // the reader says why
			}
		}
		if err := errors.Join(buffered.Flush(), to.Close()); err != nil {
			t.Errorf("send patterns: %v", err)
		}
	}
	patterns, same := io.Pipe()
	var sent sync.WaitGroup
	sent.Go(func() { send(input) })
	sent.Go(func() { send(same) })
	in, lines := bufio.NewReaderSize(patterns, 1<<16), bufio.NewScanner(output)
	compared, differ := 0, 0
	for lines.Scan() {
		got, err := next(in)
		if err != nil {
			t.Fatalf("pattern %d: %v", compared, err)
		}
		compared++
		if string(got) == lines.Text() {
			continue
		}
		differ++
		if differ <= 20 {
			t.Errorf("got %s, the JDK %s", got, lines.Text())
		}
	}
	sent.Wait()
	if err := java.Wait(); err != nil || compared != *count {
		t.Fatalf("java compared %d of %d values: %v", compared, *count, err)
	}
	t.Logf("%d values of type %s compared with the JDK, %d differ", compared, kind, differ)
}
