package subtask

import (
	"fmt"
	"path/filepath"

	"pencere/pkg/connector/partfile"
	"pencere/pkg/manifestdir"
)

// notAhead fails if files of the job in a directory were published with a later checkpoint than the one that the subtask goes on from. Their
// rows would be written a second time. A job always goes on from its newest checkpoint; one that does not has a jobmanager whose directory
// was put back to what it had been, or lost what it had last. A subtask also looks after the files of those that there are no more, as
// removeStale does.
func (s *Subtask) notAhead(dir string) error {
	newest, err := partfile.Newest(dir, shortID(s.self.JobID), filesExtension)
	if err != nil {
		return err
	}
	for subtask, name := range newest {
		if subtask%int(s.deploy.GetParallelism()) != s.self.Index {
			continue
		}
		entry, ok, err := manifestdir.Of(dir, name)
		if err != nil {
			return err
		}
		if ok && entry.Checkpoint.Job == s.self.JobID && uint64(entry.Checkpoint.ID) > s.deploy.GetRestoredId() {
			return fmt.Errorf("%s was published with checkpoint %d, but the job goes on from checkpoint %d: its rows since then would be written again; "+
				"move what is newer, and its entries in the manifest, away, or cancel the job",
				filepath.Join(dir, name), entry.Checkpoint.ID, s.deploy.GetRestoredId())
		}
	}
	return nil
}
