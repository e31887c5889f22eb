package subtask

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
	"pencere/taskmanager/internal/exchange"
)

// What a checkpoint still lists as pending may have been published, and been moved away by a consumer of finished files. That
// a file is gone which was never published is an error.
func TestRestoreWhenAFinishedFileWasMovedAway(t *testing.T) {
	content := []byte("1\n")
	for name, c := range map[string]struct {
		entry, hidden, finished bool // what is there before
		want                    error
	}{
		"moved away":             {entry: true},
		"before the entry":       {hidden: true},
		"before the name":        {entry: true, hidden: true},
		"published":              {entry: true, finished: true},
		"lost before it was out": {want: partfile.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := checkpoint.PartFile{Hidden: ".part-0-1.0.inprogress", Name: "part-0-1.csv", Rows: 1, Bytes: 2, SHA256: sha256.Sum256(content)}
			_, entries, err := manifest.Chain(manifest.Head{}, manifest.Checkpoint{ID: 1, Job: "j"}, []manifest.File{
				{Name: file.Name, SHA256: file.SHA256, Rows: 1, Bytes: 2, Quote: `"`},
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.entry {
				err = manifestdir.Write(dir, entries...)
			}
			for name, there := range map[string]bool{file.Hidden: c.hidden, file.Name: c.finished} {
				if there {
					err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600))
				}
			}
			text, encodeErr := entries[0].Encode()
			if err := errors.Join(err, encodeErr); err != nil {
				t.Fatal(err)
			}
			var logged bytes.Buffer
			s := &Subtask{
				host: Host{Log: slog.New(slog.NewTextHandler(&logged, nil))}, self: exchange.Subtask{JobID: "j"},
				deploy: &controlv1.DeploySubtask{Parallelism: 1},
			}
			err = s.restoreSink(dir, []checkpoint.PartFile{file}, [][]byte{text})
			if !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Fatalf("restore: %v, want %v", err, c.want)
			}
			moved := c.entry && !c.hidden && !c.finished
			if said := strings.Contains(logged.String(), file.Name); said != moved {
				t.Errorf("logged %q", logged.String())
			}
			_, err = os.Stat(filepath.Join(dir, file.Name))
			if is, want := err == nil, c.want == nil && !moved; is != want {
				t.Errorf("finished: %t, want %t", is, want)
			}
			if !moved {
				return
			}
			report, err := manifestdir.Verify(os.DirFS(dir))
			if err != nil || report.Intact() || !strings.Contains(report.String(), file.Name) {
				t.Errorf("verification says %s, %v", report, err)
			}
		})
	}
}
