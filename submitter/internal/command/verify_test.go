package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/manifest"
)

type verifyResult struct {
	Proved   bool
	Compared []string
	Problems []manifest.Problem
	Totals   manifest.Totals
}

// What a job wrote is proved, alone and by the jobmanager; what was changed is named.
func TestVerify(t *testing.T) {
	s := newSite(t, `{"id":1,"price":10}`, `{"id":2,"price":20}`)
	var run runResult
	if code := s.result(&run, "run", "--wait", s.spec(", bounded: latest")); code != 0 {
		t.Fatalf("exit %d", code)
	}
	dir := filepath.Join(s.dir, "out")
	if i := new(invocation).run(s.ctx, "verify", dir); i.code != 0 || !strings.Contains(i.out.String(), "proved: 1 file, 2 rows, ") {
		t.Errorf("%v", i)
	}
	var r verifyResult
	if code := s.result(&r, "verify", dir); code != 0 || !r.Proved || len(r.Compared) != 1 || r.Compared[0] != run.JobID || r.Totals.Rows != 2 {
		t.Errorf("exit %d, %+v", code, r)
	}
	if i := new(invocation).run(s.ctx, "verify", "-m", "127.0.0.1:1", "--timeout", "10ms", dir); i.code != 3 {
		t.Errorf("%v", i)
	}
	if i := s.run("verify", dir+"x"); i.code != 2 {
		t.Errorf("%v", i)
	}

	// Without its end a chain is intact; with another end it is not the jobmanager's.
	if err := os.Remove(filepath.Join(dir, manifest.Dir, "end-"+run.JobID+".json")); err != nil {
		t.Fatal(err)
	}
	if i := new(invocation).run(s.ctx, "verify", dir); i.code != 1 || !strings.Contains(i.out.String(), "intact so far") {
		t.Errorf("%v", i)
	}
	if i := s.run("verify", dir); i.code != 1 || !strings.Contains(i.out.String(), "end of the chain at the jobmanager: expected ") {
		t.Errorf("%v", i)
	}

	files, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("1,21\n2,40\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := s.result(&r, "verify", dir); code != 1 || r.Proved || len(r.Problems) != 3 {
		t.Errorf("exit %d, %+v", code, r)
	}
	if i := new(invocation).run(s.ctx, "verify", dir); i.code != 1 || !strings.Contains(i.out.String(), filepath.Base(files[0])+": edited: ") {
		t.Errorf("%v", i)
	}
}
