package command_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pencere/pkg/manifest"
	"pencere/submitter/internal/replay"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
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

// await waits until a condition holds.
func (s *site) await(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.t.Fatalf("waited for %s: %v", what, context.Cause(s.ctx))
		}
	}
}

type replayResult struct {
	Proved   bool
	Replayed []replay.Replayed
}

// What the files hold is what the records give, evaluated again: a job that ended, and one that goes on with windows open.
func TestVerifyReplay(t *testing.T) {
	s := newSite(t,
		`{"id":1,"price":10,"at":"2025-03-04 12:00:01"}`, `{"id":1,"price":10,"at":"2025-03-04 12:00:02"}`,
		`{"id":2,"price":20,"at":"2025-03-04 12:00:03"}`, `{"id":3,"price":30,"at":"2025-03-04 12:00:59"}`)
	windowed := func(ending, expression string) string {
		path := filepath.Join(s.dir, "windowed.yaml")
		text := fmt.Sprintf(`name: windowed
source:
  kafka: {brokers: "${BROKER}", topic: listings%s}
  schema: {id: INT, price: BIGINT, at: TIMESTAMP(3)}
  watermark: {column: at, delay: 0s}
window: {tumble: 10s, group_by: [id], aggregates: {n: COUNT(*), total: SUM(price)}}
select: [id, n, %s AS total, window_start]
sink: {csv: {path: %q}}
checkpoint: {interval: 100ms}
restart_strategy: {type: none}
`, ending, expression, filepath.Join(s.dir, "out"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(s.dir, "out")
	goesOn := windowed("", "total")
	var started runResult
	if code := s.result(&started, "run", goesOn); code != 0 {
		t.Fatalf("exit %d", code)
	}
	var r replayResult
	s.await("the first window's rows", func() bool {
		files, err := filepath.Glob(filepath.Join(out, "part-*"))
		return err == nil && len(files) > 0
	})
	if code := s.result(&r, "verify", "--replay", goesOn, out); code != 1 || len(r.Replayed) != 1 || !r.Replayed[0].Same() {
		t.Errorf("exit %d, %+v", code, r)
	} else if got := r.Replayed[0]; got.Records != 4 || got.Rows != 2 || got.Found != 2 || got.Open != 1 {
		t.Errorf("%+v", got)
	}
	if i := s.run("stop", "--drain", "--savepoint-dir", filepath.Join(s.dir, "savepoints"), started.JobID); i.code != 0 {
		t.Fatal(i)
	}
	if code := s.result(&r, "verify", "--replay", goesOn, out); code != 0 || !r.Proved || r.Replayed[0].Rows != 3 {
		t.Errorf("drained: exit %d, %+v", code, r)
	}
	if i := s.run("verify", "--replay", windowed("", "total + 1"), out); i.code != 1 ||
		!strings.Contains(i.out.String(), "missing of window 2025-03-04 12:00:00: 1 x 1,2,21,\"2025-03-04 12:00:00\"\n") ||
		!strings.Contains(i.out.String(), ".csv: 1 x 1,2,20,\"2025-03-04 12:00:00\"\n") ||
		!strings.Contains(i.out.String(), "differs: 3 rows are missing, 3 are too many\n") {
		t.Errorf("%v", i)
	}
	if i := s.run("verify", "--replay", windowed("", "SQRT(total)"), out); i.code != 4 || !strings.Contains(i.err.String(), "cannot replay SQRT(BIGINT)") {
		t.Errorf("%v", i)
	}
	if i := s.run("verify", "--replay", s.dir+"/none.yaml", out); i.code != 2 {
		t.Errorf("%v", i)
	}
	if i := s.run("verify", "--replay", s.spec(""), out); i.code != 4 || !strings.Contains(i.err.String(), "another job: the spec is that of prices") {
		t.Errorf("%v", i)
	}
}

// The dead letters are those that the records give, in a directory of their own.
func TestVerifyReplayOfDeadLetters(t *testing.T) {
	s := newSite(t, `{"id":1,"price":10}`, `{"id":"x"}`, `{"id":2,"price":20}`, `{`)
	path, out, dead := filepath.Join(s.dir, "lossless.yaml"), filepath.Join(s.dir, "out"), filepath.Join(s.dir, "dead")
	text := fmt.Sprintf(`name: lossless
source:
  kafka: {brokers: "${BROKER}", topic: listings, bounded: latest}
  on_error: dead_letter
  schema: {id: INT, price: BIGINT}
sink: {csv: {path: %q}}
dead_letters: {csv: {path: %q}}
`, out, dead)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if i := s.run("run", "--wait", path); i.code != 0 {
		t.Fatal(i)
	}
	for _, args := range [][]string{{"--replay", path, out}, {"--replay", path, "--dead-letters", dead}} {
		var r replayResult
		if code := s.result(&r, "verify", args...); code != 0 || !r.Proved || len(r.Replayed) != 1 || r.Replayed[0].Rows != 2 || r.Replayed[0].Records != 4 {
			t.Errorf("%q: exit %d, %+v", args, code, r)
		}
	}
	if i := s.run("verify", "--replay", path, dead); i.code != 1 || !strings.Contains(i.out.String(), "differs: 2 rows are missing, 2 are too many") {
		t.Errorf("dead letters taken for rows: %v", i)
	}
	if i := s.run("verify", "--dead-letters", dead); i.code != 2 || !strings.Contains(i.err.String(), "--dead-letters needs --replay") {
		t.Errorf("%v", i)
	}
}

// What is committed in the sink's topic is what the records give that the ledger accounts for.
func TestVerifyReplayOfTopic(t *testing.T) {
	s := newSite(t, `{"id":1,"price":10,"name":"a\"b","rate":1.5}`, `{"id":2,"price":null,"name":"ğ","rate":"NaN"}`, `{"id":3,"price":30,"name":null,"rate":0.001}`)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(s.broker), kgo.DefaultProduceTopic("result"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	if _, err := kadm.NewClient(kafka).CreateTopic(s.ctx, 2, 1, nil, "result"); err != nil {
		t.Fatal(err)
	}
	write := func(name, ending string) string {
		path := filepath.Join(s.dir, name+".yaml")
		text := fmt.Sprintf(`name: %s
source:
  kafka: {brokers: "${BROKER}", topic: listings%s}
  schema: {id: INT, price: "DECIMAL(10, 2)", name: STRING, rate: DOUBLE}
select: [id, price * 2 AS twice, name, rate]
sink: {kafka: {brokers: "${BROKER}", topic: result, key: CAST(id AS STRING), headers: {who: name}}}
checkpoint: {interval: 100ms}
restart_strategy: {type: none}
`, name, ending)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("prices", ", bounded: latest")
	var job runResult
	if code := s.result(&job, "run", "--wait", path); code != 0 {
		t.Fatalf("exit %d", code)
	}
	var r replayResult
	if code := s.result(&r, "verify", "--replay", path, "--job", job.JobID); code != 0 || !r.Proved || len(r.Replayed) != 1 || r.Replayed[0].Rows != 3 || r.Replayed[0].Found != 3 || r.Replayed[0].Records != 3 {
		t.Errorf("exit %d, %+v", code, r)
	}
	if i := s.run("verify", "--replay", write("other", ""), "--job", job.JobID); i.code != 4 || !strings.Contains(i.err.String(), "another job: the spec is that of other") {
		t.Errorf("%v", i)
	}
	for _, args := range [][]string{{"--job", job.JobID}, {"--replay", path, "--job", job.JobID, s.dir}, {"--replay", path, "--dead-letters", "--job", job.JobID}} {
		if i := s.run("verify", args...); i.code != 2 || !strings.Contains(i.err.String(), "--job is in place of a directory") {
			t.Errorf("%q: %v", args, i)
		}
	}
	if err := kafka.ProduceSync(s.ctx, &kgo.Record{Key: []byte("1"), Value: []byte(`{"id":1}`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if i := s.run("verify", "--replay", path, "--job", job.JobID); i.code != 1 || !strings.Contains(i.out.String(), `too many in result-`) ||
		!strings.Contains(i.out.String(), `1 x key "1", value "{\"id\":1}"`) || !strings.Contains(i.out.String(), "differs: 0 rows are missing, 1 are too many") {
		t.Errorf("%v", i)
	}
	if i := s.run("run", write("goes-on", "")); i.code != 0 {
		t.Fatal(i)
	}
	if i := s.run("verify", "--replay", write("goes-on", ""), "--job", "goes-on"); i.code != 1 || !strings.Contains(i.err.String(), "its topic is complete when it has ended") {
		t.Errorf("%v", i)
	}
}
