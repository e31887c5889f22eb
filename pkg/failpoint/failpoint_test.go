package failpoint_test

import (
	"bytes"
	"os/exec"
	"slices"
	"testing"
)

// users are the packages that have points.
var users = []string{
	"pencere/jobmanager/internal/jobmaster", "pencere/pkg/connector/kafka", "pencere/pkg/connector/partfile", "pencere/pkg/manifestdir",
	"pencere/taskmanager/internal/agent", "pencere/taskmanager/internal/subtask",
}

// Without the tag the machine code has nothing of a point: no call, no load of its name, not even the place of one.
func TestOffCostsNothing(t *testing.T) {
	t.Parallel()
	off, on := instructions(t), instructions(t, "-tags", "failpoint")
	if off > 0 {
		t.Errorf("%d instructions come from package failpoint", off)
	}
	if on < 20 {
		t.Errorf("with the tag only %d instructions do: this test looks for the wrong thing", on)
	}
}

// instructions counts those of the compiled packages that mention package failpoint.
func instructions(t *testing.T, flags ...string) int {
	t.Helper()
	args := slices.Concat([]string{"build", "-gcflags=-S"}, flags, users)
	listing, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, listing)
	}
	n := 0
	for line := range bytes.Lines(listing) {
		// An instruction's line begins with its offset: "	0x0012 00018 (file.go:7)	CALL	...".
		if bytes.HasPrefix(line, []byte("\t0x")) && bytes.Contains(line, []byte("failpoint")) {
			n++
		}
	}
	return n
}
