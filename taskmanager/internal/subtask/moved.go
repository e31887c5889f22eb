package subtask

import (
	"fmt"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
)

// withoutMoved leaves out of the files of the checkpoint that the subtask goes on from those that were published and that somebody has
// moved away since, as a consumer of finished files may. An entry comes before its file's name, and nothing but the name
// comes between that and the end of the hidden file: one that has an entry, and is there under neither name, was published.
// Verification still says that it is missing. It is called before entries are written.
func (s *Subtask) withoutMoved(dir string, files []checkpoint.PartFile, entries [][]byte) ([]checkpoint.PartFile, error) {
	published, err := writtenEntries(dir, entries)
	if err != nil {
		return nil, err
	}
	var left []checkpoint.PartFile
	for _, f := range files {
		there, err := partfile.Exists(dir, partfile.Pending(f))
		if err != nil {
			return nil, err
		}
		if !there && published[f.Name] {
			s.host.Log.Warn("part file was published and is gone, going on without it", "job_id", s.self.JobID, "file", f.Name, "dir", dir)
			continue
		}
		left = append(left, f)
	}
	return left, nil
}

// writtenEntries returns the names of the files whose entries are in the manifest of a directory.
func writtenEntries(dir string, encoded [][]byte) (map[string]bool, error) {
	written := make(map[string]bool)
	for _, text := range encoded {
		e, err := manifest.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("entry of the manifest from the jobmanager: %w", err)
		}
		if e.Kind == manifest.KindEnd {
			continue
		}
		if written[e.File.Name], err = manifestdir.Has(dir, e); err != nil {
			return nil, err
		}
	}
	return written, nil
}
