package subtask

import (
	"fmt"

	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
)

// writeEntries writes entries into the manifest of the sink's directory. Those that are there already stay.
func (s *Subtask) writeEntries(encoded [][]byte) error {
	entries := make([]manifest.Entry, len(encoded))
	for i, text := range encoded {
		var err error
		if entries[i], err = manifest.Decode(text); err != nil {
			return fmt.Errorf("entry of the manifest from the jobmanager: %w", err)
		}
	}
	return manifestdir.Write(s.program.Job.Sink.CSV.Path, entries...)
}

// endManifest writes the entry that closes the manifest. No other subtask writes to it any more, so that what attempts which
// died left there can go.
func (s *Subtask) endManifest(end []byte) error {
	if _, err := manifestdir.RemoveTemporary(s.program.Job.Sink.CSV.Path, s.self.JobID); err != nil {
		return err
	}
	return s.writeEntries([][]byte{end})
}
