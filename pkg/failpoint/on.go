//go:build failpoint

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Enabled says whether this program was built to die at points.
const Enabled = true

var (
	chosen = sync.OnceValues(func() (Point, int64) {
		point, number, _ := strings.Cut(os.Getenv(Variable), ":")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return "", 0
		}
		return Point(point), n
	})
	hits atomic.Int64
)

// Hit kills the process if it is the time and the point that Variable says, as a kill -9 would.
func Hit(p Point) {
	if at, n := chosen(); p != at || hits.Add(1) != n {
		return
	}
	_, _ = os.Stderr.WriteString("failpoint " + string(p) + "\n")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may come a moment later, and nothing more may happen
}
