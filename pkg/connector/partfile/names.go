package partfile

import (
	"fmt"
	"strconv"
	"strings"
)

// names makes and reads the names of one subtask's files: finished part-<job>-<subtask>-<n><extension>, hidden
// .part-<job>-<subtask>-<n>.inprogress.<attempt>. Hadoop, Hive, Spark and ls skip names that begin with a dot.
type names struct {
	job       string
	subtask   int
	attempt   int
	extension string
}

func (n names) finished(number int64) string {
	return fmt.Sprintf("part-%s-%d-%d%s", n.job, n.subtask, number, n.extension)
}

func (n names) hidden(number int64) string {
	return fmt.Sprintf(".part-%s-%d-%d.inprogress.%d", n.job, n.subtask, number, n.attempt)
}

// number returns the number of a file of this job and subtask, finished or hidden, of any attempt.
func (n names) number(name string) (number int64, ok bool) {
	if subtask, number, _, ok := parseHidden(name, n.job); ok {
		return number, subtask == n.subtask
	}
	subtask, number, ok := parseFinished(name, n.job, n.extension)
	return number, ok && subtask == n.subtask
}

// parseFinished reads the name of a finished file of a job.
func parseFinished(name, job, extension string) (subtask int, number int64, ok bool) {
	rest, ok1 := strings.CutPrefix(name, "part-"+job+"-")
	rest, ok2 := strings.CutSuffix(rest, extension)
	ofSubtask, ofNumber, ok3 := strings.Cut(rest, "-")
	first, ok4 := parseNumber(ofSubtask)
	number, ok5 := parseNumber(ofNumber)
	return int(first), number, ok1 && ok2 && ok3 && ok4 && ok5
}

// parseHidden reads the name of a hidden file of a job.
func parseHidden(name, job string) (subtask int, number int64, attempt int, ok bool) {
	rest, ok := strings.CutPrefix(name, ".part-"+job+"-")
	if !ok {
		return 0, 0, 0, false
	}
	rest, ofAttempt, ok1 := strings.Cut(rest, ".inprogress.")
	ofSubtask, ofNumber, ok2 := strings.Cut(rest, "-")
	first, ok3 := parseNumber(ofSubtask)
	number, ok4 := parseNumber(ofNumber)
	last, ok5 := parseNumber(ofAttempt)
	return int(first), number, int(last), ok1 && ok2 && ok3 && ok4 && ok5
}

// parseNumber reads a number as the names have it: no sign, no leading zero.
func parseNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}
