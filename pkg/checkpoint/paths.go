package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Dir is where the blobs of one checkpoint of a job are: <job>/chk-<id>, or <job>/savepoint-<id> for a savepoint. All keys in
// blob storage are made and read here. Parts of keys are separated by slashes, as gocloud.dev/blob has them.
type Dir struct {
	JobID string
	ID    ID
	Kind  Kind
}

const savepointPrefix, periodicPrefix = "savepoint-", "chk-"

func (d Dir) String() string {
	if d.Kind.IsSavepoint() {
		return fmt.Sprintf("%s/%s%d", d.JobID, savepointPrefix, d.ID)
	}
	return fmt.Sprintf("%s/%s%d", d.JobID, periodicPrefix, d.ID)
}

// StateKey returns the key of the keyed state of a subtask's attempt: <dir>/<vertex>-<index>-<attempt>.
func (d Dir) StateKey(s Subtask, attempt int) string {
	return fmt.Sprintf("%s/%s-%d-%d", d, s.VertexID, s.Index, attempt)
}

// ManifestKey returns the key of the checkpoint's own bytes, which only savepoints have outside the replicated log.
func (d Dir) ManifestKey() string { return d.String() + "/_metadata" }

// JobPrefix returns what the keys of a job begin with.
func JobPrefix(jobID string) string { return jobID + "/" }

// blobOf returns which checkpoint of a job a key is of, 0 for one that an ended subtask handed over, and which attempt made it; a
// copy from a savepoint, which came before any attempt, is of checkpoint 0 and attempt -1. Also what a writer that died left
// beside the place of a blob is of that blob's checkpoint.
func blobOf(jobID, key string) (id ID, attempt int, ok bool) {
	rest, ok := strings.CutPrefix(key, JobPrefix(jobID))
	if !ok {
		return 0, 0, false
	}
	dir, name, ok := strings.Cut(rest, "/")
	if strings.HasPrefix(dir, savepointPrefix) {
		return 0, -1, ok
	}
	number, isPeriodic := strings.CutPrefix(dir, periodicPrefix)
	n, err := strconv.ParseUint(number, 10, 64)
	name, _, _ = strings.Cut(name, ".")
	if strings.Contains(name, "/") {
		return 0, 0, false
	}
	attempt, attemptErr := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return ID(n), attempt, ok && isPeriodic && err == nil && attemptErr == nil
}

// Orphans returns those of keys that are blobs of a job and were left behind by a crash: none of those in use, and made by attempts
// before the one given or for a checkpoint before the newest committed one, 0 if there is none. No subtask of these may go on.
func Orphans(jobID string, keys []string, inUse []Blob, attempt int, newest ID) []string {
	used := map[string]bool{}
	for _, b := range inUse {
		used[b.Key] = true
	}
	var orphans []string
	for _, key := range keys {
		id, made, ok := blobOf(jobID, key)
		if ok && !used[key] && (made < attempt || 0 < id && id < newest) {
			orphans = append(orphans, key)
		}
	}
	slices.Sort(orphans)
	return orphans
}
