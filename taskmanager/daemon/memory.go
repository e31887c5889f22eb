package daemon

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"strings"
)

// physicalMemory returns the memory that the process can have at most, in bytes: the machine's, or its control
// group's where that is less. Where neither is told (not Linux) it is 4 GiB.
func physicalMemory() int64 {
	total := int64(4 << 30)
	if kib, ok := procField("/proc/meminfo", "MemTotal:"); ok {
		total = kib << 10
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit, ok := cgroupLimit(path); ok {
			total = min(total, limit)
		}
	}
	return total
}

// residentMemory returns the memory that the process holds, in bytes; 0 where that is not told.
func residentMemory() int64 {
	kib, _ := procField("/proc/self/status", "VmRSS:")
	return kib << 10
}

// procField reads a number of KiB from a file of lines such as "MemTotal:  24576 kB".
func procField(path, name string) (int64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) >= 2 && fields[0] == name {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

func cgroupLimit(path string) (int64, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return limit, err == nil && limit > 0 && limit < math.MaxInt64/2
}
