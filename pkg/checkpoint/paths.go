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

// periodicOf returns which periodic checkpoint of a job a key belongs to.
func periodicOf(jobID, key string) (id ID, ok bool) {
	rest, ok := strings.CutPrefix(key, JobPrefix(jobID)+periodicPrefix)
	if !ok {
		return 0, false
	}
	number, _, ok := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 64)
	return ID(n), ok && err == nil
}

// Orphans returns those of keys that lie in the directories of periodic checkpoints of a job, of IDs less than before, and in none
// of the checkpoints in use: what crashes left behind. before must not be greater than any checkpoint that may be under way.
func Orphans(jobID string, keys []string, inUse []Checkpoint, before ID) []string {
	used := map[string]bool{}
	for _, c := range inUse {
		for _, b := range c.Blobs() {
			used[b.Key] = true
		}
	}
	var orphans []string
	for _, key := range keys {
		if id, ok := periodicOf(jobID, key); ok && id < before && !used[key] {
			orphans = append(orphans, key)
		}
	}
	slices.Sort(orphans)
	return orphans
}
