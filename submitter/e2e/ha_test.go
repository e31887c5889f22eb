//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// haPatience is how long one fault may take until a checkpoint is complete again.
const haPatience = 30 * time.Second

// trio is three jobmanagers, each a process of its own.
type trio struct {
	t        *testing.T
	rest     []string
	programs []*exec.Cmd
	args     [][]string
	jobs     *client.Client
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{t: t}
	dir := t.TempDir()
	var peers, rpc []string
	for i := range 3 {
		peers = append(peers, fmt.Sprintf("jm%d=127.0.0.1:%s", i+1, freePort(t)))
		rpc = append(rpc, "127.0.0.1:"+freePort(t))
		c.rest = append(c.rest, "127.0.0.1:"+freePort(t))
	}
	for i := range 3 {
		id, raft, _ := strings.Cut(peers[i], "=")
		c.args = append(c.args, []string{
			program(t, "jobmanager"), "--id", id, "--data-dir", filepath.Join(dir, id), "--checkpoint-dir", filepath.Join(dir, "checkpoints"),
			"--rest-addr", c.rest[i], "--rpc-addr", rpc[i], "--raft-addr", raft, "--peers", strings.Join(peers, ","), "--metrics-addr", "",
		})
		c.programs = append(c.programs, c.start(c.args[i]))
	}
	for range 2 {
		taskManager := c.start([]string{
			program(t, "taskmanager"), "--jobmanagers", strings.Join(rpc, ","), "--slots", "2", "--data-addr", "127.0.0.1:0", "--metrics-addr", "",
		})
		t.Cleanup(func() { kill(taskManager) })
	}
	t.Cleanup(func() {
		for _, p := range c.programs {
			kill(p)
		}
	})
	var err error
	if c.jobs, err = client.New(client.Config{Addresses: c.rest, Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.jobs.Close)
	return c
}

func (c *trio) start(args []string) *exec.Cmd {
	c.t.Helper()
	p := exec.Command(args[0], args[1:]...)
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	return p
}

func kill(p *exec.Cmd) {
	_ = p.Process.Kill() // it may have ended
	_ = p.Wait()         // with the signal
}

// get reads an answer of a jobmanager, or of the leader by way of it.
func (c *trio) get(ctx context.Context, i int, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.rest[i]+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// leader returns who leads, by the only one that answers with its own id.
func (c *trio) leader(ctx context.Context, but int) (leader int) {
	c.t.Helper()
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		for i := range c.rest {
			var settings []struct{ Key, Value string }
			if i == but || c.get(ctx, i, "/jobmanager/config", &settings) != nil {
				continue
			}
			for _, s := range settings {
				if s.Key == "id" && s.Value != fmt.Sprintf("jm%d", but+1) {
					_, err := fmt.Sscanf(s.Value, "jm%d", &leader)
					leader--
					return true, err
				}
			}
		}
		return false, nil
	})
	if err != nil {
		c.t.Fatalf("nobody leads: %v", err)
	}
	return leader
}

// Leaders are killed and paused under load, PENCERE_HA_FAULTS times: no task restarts, and every row is published once.
func TestLeaderFaults(t *testing.T) {
	faults, err := strconv.Atoi(os.Getenv("PENCERE_HA_FAULTS"))
	if err != nil {
		faults = 4
	}
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker.Addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	if _, err := kadm.NewClient(kafka).CreateTopic(t.Context(), 4, 1, nil, "rows"); err != nil {
		t.Fatal(err)
	}
	c, out := startTrio(t), t.TempDir()
	submitted, err := c.jobs.Submit(t.Context(), client.Spec{Name: "ha.yaml", Text: fmt.Appendf(nil, `
name: ha
parallelism: 4
restart_strategy: {type: none}
source:
  kafka: {brokers: "%s", topic: rows}
  schema: {id: BIGINT}
select: [id]
sink: {csv: {path: %s}}
checkpoint: {interval: 500ms}
`, strings.Join(broker.Addresses(), ","), out)})
	if err != nil {
		t.Fatal(err)
	}
	producing, stop := context.WithCancel(t.Context())
	produced := make(chan int, 1)
	go func() { produced <- produceRows(producing, kafka) }()
	var slowest, longest time.Duration
	for n := range faults {
		lead, whole := c.fault(t, submitted.ID, n)
		slowest, longest = max(slowest, lead), max(longest, whole)
	}
	stop()
	rows := <-produced
	ctx, cancel := context.WithTimeout(t.Context(), haPatience)
	defer cancel()
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) { return len(publishedRows(t, out)) >= rows, nil }); err != nil {
		t.Errorf("rows: %v", err)
	}
	seen := make(map[string]bool)
	for _, row := range publishedRows(t, out) {
		if seen[row] {
			t.Errorf("row %s is published twice", row)
		}
		seen[row] = true
	}
	if len(seen) != rows {
		t.Errorf("%d rows are published, want %d", len(seen), rows)
	}
	t.Logf("%d faults, %d rows; at most %s to a new leader, %s to its first checkpoint", faults, rows, slowest, longest)
}

// fault kills or pauses the leader, and returns how long it took until another one led, and until that had completed a checkpoint.
func (c *trio) fault(t *testing.T, job string, n int) (lead, whole time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), haPatience)
	defer cancel()
	old := c.leader(ctx, -1)
	began, signal := time.Now(), syscall.SIGKILL
	if n%2 == 1 {
		signal = syscall.SIGSTOP
	}
	if err := c.programs[old].Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	next := c.leader(ctx, old)
	lead = time.Since(began)
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		var checkpoints struct{ Counts struct{ Completed int } }
		return c.get(ctx, next, "/jobs/"+job+"/checkpoints", &checkpoints) == nil && checkpoints.Counts.Completed > 0, nil
	})
	whole = time.Since(began)
	if err != nil {
		t.Fatalf("no checkpoint after %s of jm%d: %v", signal, old+1, err)
	}
	if signal == syscall.SIGSTOP {
		if err := c.programs[old].Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	} else {
		_ = c.programs[old].Wait() // with the signal
		c.programs[old] = c.start(c.args[old])
	}
	wait(ctx, 2*time.Second) // what the old one may still do shows
	var metrics []struct{ Value string }
	if err := c.get(ctx, next, "/jobs/"+job+"/metrics?get=numRestarts", &metrics); err != nil || len(metrics) != 1 || metrics[0].Value != "0" {
		t.Fatalf("restarts after %s of jm%d: %v, %v", signal, old+1, metrics, err)
	}
	t.Logf("%s of jm%d: another one leads after %s, its first checkpoint is complete after %s", signal, old+1, lead, whole)
	return lead, whole
}

// produceRows writes numbered rows until ctx ends, and returns how many.
func produceRows(ctx context.Context, kafka *kgo.Client) (rows int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for range 10 {
				r := &kgo.Record{Topic: "rows", Value: fmt.Appendf(nil, `{"id":%d}`, rows)}
				kafka.Produce(context.WithoutCancel(ctx), r, nil)
				rows++
			}
		case <-ctx.Done():
			_ = kafka.Flush(context.WithoutCancel(ctx)) // what is missing shows
			return rows
		}
	}
}

// publishedRows returns the rows of the finished files.
func publishedRows(t *testing.T, dir string) (rows []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "part-*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, strings.Fields(string(text))...)
	}
	return rows
}
