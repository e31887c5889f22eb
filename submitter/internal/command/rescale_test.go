package command_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

// awaitParallelism waits until the only job runs so wide.
func (s *site) awaitParallelism(want int) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		jobs, err := s.cluster.Client().Jobs(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		job, err := s.cluster.Client().Job(s.ctx, jobs[0].ID)
		if err == nil && len(job.Vertices) > 0 && job.Vertices[0].Parallelism == want && job.Vertices[0].Status == "RUNNING" {
			return
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.t.Fatalf("parallelism is not %d: %+v %v", want, job, err)
		}
	}
}

// A job takes the parallelism that it is told, or follows the slots again; what cannot be is refused.
func TestRescale(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.spec(""))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.cluster.Client().Submit(s.ctx, client.Spec{Name: "job.yaml", Text: text, Vars: map[string]string{"BROKER": s.broker}})
	if err != nil {
		t.Fatal(err)
	}
	s.awaitParallelism(1) // there is one partition
	for _, c := range []struct {
		parallelism string
		code        int
		says        string
	}{
		{"0", 2, `-p "0": want a number from 1 on, or auto`},
		{"many", 2, `-p "many": want a number from 1 on, or auto`},
		{"129", 2, "parallelism 129 is more than the job's max_parallelism, which is 128"},
		{"2", 0, "is to run at parallelism 2."},
	} {
		if i := s.run("rescale", "prices", "-p", c.parallelism); i.code != c.code || !strings.Contains(i.String(), c.says) {
			t.Errorf("-p %s, want %d and %q:\n%s", c.parallelism, c.code, c.says, i)
		}
	}
	s.awaitParallelism(2)
	if i := s.run("rescale", "prices", "-p", "auto"); i.code != 0 {
		t.Fatal(i)
	}
	s.awaitParallelism(1)
}
