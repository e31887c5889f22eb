package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

// A job that waits for slots stops with a savepoint when it has got them.
func TestStopWaitsForTheJob(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.spec(""))
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "parallelism: 4\n"...) // there are two slots
	job, err := s.cluster.Client().Submit(s.ctx, client.Spec{Name: "job.yaml", Text: text, Vars: map[string]string{"BROKER": s.broker}})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := s.cluster.Client().Job(s.ctx, job.ID)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(now.Notice, "waiting for slots") {
			break
		}
		<-tick.C
	}
	stopped := make(chan *invocation, 1)
	savepoints := filepath.Join(s.dir, "savepoints")
	go func() { stopped <- s.run("stop", "prices", "--savepoint-dir", savepoints) }()
	for made := 0; made == 0; <-tick.C {
		folders, _ := filepath.Glob(filepath.Join(savepoints, "*")) // the pattern is well formed
		made = len(folders)
	}
	if _, err := s.cluster.AddTaskManager(); err != nil {
		t.Fatal(err)
	}
	if i := <-stopped; i.code != 0 || !strings.Contains(i.String(), "has stopped with a savepoint") {
		t.Errorf("slots have come:\n%s", i)
	}
}
