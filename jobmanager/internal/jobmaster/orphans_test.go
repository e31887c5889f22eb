package jobmaster

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/pkg/blobstore"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
)

// A jobmanager that begins to lead removes the state of jobs that have ended, and in storage of its own that of jobs that never began.
// It lets alone what runs, what may just be beginning, and what is nobody's.
func TestStateOfGoneJobs(t *testing.T) {
	running, ended, unknown := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32)
	fresh := strings.Repeat("d", 32)
	for _, own := range []bool{true, false} {
		log := replica.NewMemory()
		for id, status := range map[string]jobfsm.Status{running: jobfsm.Running, ended: jobfsm.Canceled} {
			for _, c := range []*storagev1.Command{
				{Command: &storagev1.Command_SubmitJob{SubmitJob: &storagev1.SubmitJob{JobId: id}}},
				{Command: &storagev1.Command_SetJobStatus{SetJobStatus: &storagev1.SetJobStatus{JobId: id, Status: replica.StoredStatus(status)}}},
			} {
				if err := log.Apply(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
		}
		url, err := blobstore.URL(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		storage := blobstore.New(url)
		t.Cleanup(func() { _ = storage.Close() })
		bucket, err := storage.Bucket(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimPrefix(storage.URL(), "file://")
		now := time.Now()
		for _, key := range []string{running + "/chk-1/v-0-0", ended + "/chk-1/v-0-0", unknown + "/savepoint-1/v-0-0", fresh + "/savepoint-1/v-0-0", "readme/first/x"} {
			if err := bucket.WriteAll(t.Context(), key, []byte("x")); err != nil {
				t.Fatal(err)
			}
			age := time.Hour
			if strings.HasPrefix(key, fresh) {
				age = time.Second
			}
			if err := os.Chtimes(filepath.Join(dir, key), now, now.Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		d := New(Config{Log: log, Storage: storage, Logger: slog.New(slog.DiscardHandler), Now: time.Now, OwnStorage: own})
		d.removeGone(t.Context())
		left := map[string]bool{}
		if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
			left[path] = true
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for folder, stays := range map[string]bool{running: true, ended: false, unknown: !own, fresh: true, "readme": true} {
			if left[folder] != stays {
				t.Errorf("own storage %t: folder %.1s… is there: %t", own, folder, left[folder])
			}
		}
	}
}
