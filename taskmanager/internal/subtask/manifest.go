package subtask

import (
	"fmt"

	"pencere/pkg/failpoint"
	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
)

// writeEntries writes entries into the manifest of a directory of part files. Those that are there already stay.
func writeEntries(dir string, encoded [][]byte) error {
	entries := make([]manifest.Entry, len(encoded))
	for i, text := range encoded {
		var err error
		if entries[i], err = manifest.Decode(text); err != nil {
			return fmt.Errorf("entry of the manifest from the jobmanager: %w", err)
		}
	}
	return manifestdir.Write(dir, entries...)
}

// endManifest writes the entry that closes the manifest. All others have published and ended, so that what attempts left which died can
// go: also what one wrote that had been believed dead and woke after its successor had cleaned up.
func (s *Subtask) endManifest(dir string, end []byte) error {
	if err := s.removeHidden(dir, func(int, int) bool { return true }); err != nil {
		return err
	}
	if _, err := manifestdir.RemoveTemporary(dir, s.self.JobID); err != nil {
		return err
	}
	failpoint.Hit(failpoint.BeforeManifestEnd)
	if err := writeEntries(dir, [][]byte{end}); err != nil {
		return err
	}
	failpoint.Hit(failpoint.AfterManifestEnd)
	return nil
}
