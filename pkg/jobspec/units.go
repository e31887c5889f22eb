package jobspec

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Patterns of quantities, in the part of the syntax that Go's regular expressions and JSON Schema's share.
const (
	durationPattern = `^(\d+ ?(ms|sec|s|min|m|h|d) ?)+$`
	sizePattern     = `^\d+ ?(B|KB|KiB|MB|MiB|GB|GiB)$`
)

var (
	durationForm = regexp.MustCompile(durationPattern)
	durationPart = regexp.MustCompile(`(\d+) ?(ms|sec|s|min|m|h|d)`)
	sizeForm     = regexp.MustCompile(sizePattern)

	durationUnits = map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "sec": time.Second, "m": time.Minute, "min": time.Minute,
		"h": time.Hour, "d": 24 * time.Hour,
	}
	// As in Flink, KB is 1024 bytes, too.
	sizeUnits = map[byte]int64{'B': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
)

// parseDuration reads durations such as 5s, 1h30m and 7 d.
func parseDuration(text string) (time.Duration, error) {
	if !durationForm.MatchString(text) {
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return 0, fmt.Errorf("%s has no unit; write for instance %ss or %sms", text, text, text)
		}
		return 0, fmt.Errorf("%q is not a duration; write whole numbers with the units ms, s, m, h, d, for instance 5s or 1h30m", text)
	}
	var total time.Duration
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		count, err := strconv.ParseInt(part[1], 10, 64)
		unit := durationUnits[part[2]]
		if err != nil || count > int64(math.MaxInt64-total)/int64(unit) {
			return 0, fmt.Errorf("%q is too long a duration; the longest is 106751 days", text)
		}
		total += time.Duration(count) * unit
	}
	return total, nil
}

// parseSize reads sizes such as 128MB, in bytes.
func parseSize(text string) (int64, error) {
	if !sizeForm.MatchString(text) {
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return 0, fmt.Errorf("%s has no unit; write for instance %sMB", text, text)
		}
		return 0, fmt.Errorf("%q is not a size; write a whole number with one of the units B, KB, MB, GB, for instance 128MB", text)
	}
	digits := strings.TrimRight(text, " BKMGi")
	unit := sizeUnits[strings.TrimLeft(text, "0123456789 ")[0]]
	count, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || count > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large a size", text)
	}
	return count * unit, nil
}
