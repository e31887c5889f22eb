//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"

	"github.com/twmb/franz-go/pkg/kgo"
)

// haPatience is how long one fault may take until a checkpoint is complete again.
const haPatience = 30 * time.Second

// place is where a process runs: the host that others reach it at, and the command that runs it there, if any.
type place struct {
	host string
	in   []string
}

// here is this machine, for each process.
func here(string) place { return place{host: "127.0.0.1"} }

// council is some jobmanagers, each a process of its own, and taskmanagers.
type council struct {
	t        *testing.T
	hosts    []string
	rest     []string
	rpc      []string
	programs []*exec.Cmd
	args     [][]string
	jobs     *client.Client
}

// startCouncil starts n jobmanagers and waits until all vote.
func startCouncil(t *testing.T, n int, where func(name string) place) *council {
	t.Helper()
	c := &council{t: t}
	dir := t.TempDir()
	var peers []string
	var places []place
	for i := range n {
		p := where(fmt.Sprintf("jm%d", i+1))
		places, c.hosts = append(places, p), append(c.hosts, p.host)
		peers = append(peers, fmt.Sprintf("jm%d=%s:%s", i+1, p.host, freePort(t)))
		c.rpc = append(c.rpc, p.host+":"+freePort(t))
		c.rest = append(c.rest, p.host+":"+freePort(t))
	}
	for i := range n {
		id, raft, _ := strings.Cut(peers[i], "=")
		c.args = append(c.args, append(slices.Clone(places[i].in),
			program(t, "jobmanager"), "--id", id, "--data-dir", filepath.Join(dir, id), "--checkpoint-dir", filepath.Join(dir, "checkpoints"),
			"--rest-addr", c.rest[i], "--rpc-addr", c.rpc[i], "--raft-addr", raft, "--peers", strings.Join(peers, ","), "--metrics-addr", ""))
		c.programs = append(c.programs, c.start(c.args[i]))
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
	ctx, cancel := context.WithTimeout(t.Context(), haPatience)
	defer cancel()
	c.whole(ctx)
	return c
}

// taskManager starts a taskmanager with two slots, until the end of the test.
func (c *council) taskManager(p place, flags ...string) {
	c.t.Helper()
	started := c.start(append(append(slices.Clone(p.in),
		program(c.t, "taskmanager"), "--jobmanagers", strings.Join(c.rpc, ","), "--slots", "2", "--data-addr", p.host+":0"), flags...))
	c.t.Cleanup(func() { kill(started) })
}

// whole waits until all jobmanagers vote and have what the leader has, give or take the newest.
func (c *council) whole(ctx context.Context) {
	c.t.Helper()
	var members []client.Member
	err := poll(ctx, 20*time.Millisecond, func() (bool, error) {
		var err error
		if members, err = c.jobs.Members(ctx); err != nil {
			return false, err
		}
		leads, newest := false, int64(0)
		for _, m := range members {
			leads, newest = leads || m.Leader, max(newest, m.LastIndex)
		}
		for _, m := range members {
			if !m.Voter || !m.Reachable || m.Joining || m.AppliedIndex < newest-2 {
				return false, nil
			}
		}
		return leads && len(members) == len(c.rest), nil
	})
	if err != nil {
		c.t.Fatalf("not all jobmanagers are well: %v\n%+v", err, members)
	}
}

func (c *council) start(args []string) *exec.Cmd {
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
func (c *council) get(ctx context.Context, i int, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond) // it may ask one that is gone
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

// leader returns who leads, by the only one that answers with its own id. It asks all but some.
func (c *council) leader(ctx context.Context, but ...int) (leader int) {
	c.t.Helper()
	err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		for i := range c.rest {
			var settings []struct{ Key, Value string }
			if slices.Contains(but, i) || c.get(ctx, i, "/jobmanager/config", &settings) != nil {
				continue
			}
			for _, s := range settings {
				if s.Key != "id" {
					continue
				}
				if _, err := fmt.Sscanf(s.Value, "jm%d", &leader); err != nil {
					return false, err
				}
				leader--
				if !slices.Contains(but, leader) {
					return true, nil
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

// fault is what befalls a jobmanager, and what ends it.
type fault struct {
	name         string
	strike, heal func(c *council, i int) error
}

func signal(s syscall.Signal) func(c *council, i int) error {
	return func(c *council, i int) error { return c.programs[i].Process.Signal(s) }
}

func startAgain(c *council, i int) error {
	_ = c.programs[i].Wait() // with the signal
	c.programs[i] = c.start(c.args[i])
	return nil
}

// signals are the faults that need nothing but signals.
var signals = []fault{
	{"is killed", signal(syscall.SIGKILL), startAgain},
	{"is paused", signal(syscall.SIGSTOP), signal(syscall.SIGCONT)},
}

// Leaders are killed and paused under load: no task restarts, and every row is published once.
func TestLeaderFaults(t *testing.T) {
	broker := startRows(t, nil)
	c := startCouncil(t, 3, here)
	for range 2 {
		c.taskManager(here(""), "--metrics-addr", "")
	}
	l := startLoad(t, c, broker, "restart_strategy: {type: none}")
	for n := range 4 {
		l.suffer(signals[n%len(signals)])
	}
	l.finish()
}

// startRows starts a broker with the topic rows.
func startRows(t *testing.T, listen func(network, address string) (net.Listener, error)) *localcluster.Broker {
	t.Helper()
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{Topics: map[string]int32{"rows": 4}, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker
}

// load is a job that copies numbered rows, the rows for it, and what was seen of its checkpoints.
type load struct {
	*council
	job, out string
	stop     func() (rows int)

	acked      map[int64]int64 // when each checkpoint was complete, ms
	faults     int
	lead, both time.Duration // the longest until another one led, and until that had completed a checkpoint
}

func startLoad(t *testing.T, c *council, broker *localcluster.Broker, further string) *load {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker.Addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	l := &load{council: c, out: t.TempDir(), acked: make(map[int64]int64)}
	submitted, err := c.jobs.Submit(t.Context(), client.Spec{Name: "ha.yaml", Text: fmt.Appendf(nil, `
name: ha
parallelism: 4
%s
source:
  kafka: {brokers: "%s", topic: rows}
  schema: {id: BIGINT}
select: [id]
sink: {csv: {path: %s}}
checkpoint: {interval: 500ms}
`, further, strings.Join(broker.Addresses(), ","), l.out)})
	if err != nil {
		t.Fatal(err)
	}
	l.job = submitted.ID
	producing, stop := context.WithCancel(t.Context())
	produced := make(chan int, 1)
	go func() { produced <- produceRows(producing, kafka) }()
	l.stop = func() int { stop(); return <-produced }
	ctx, cancel := context.WithTimeout(t.Context(), haPatience)
	defer cancel()
	if err := poll(ctx, 10*time.Millisecond, func() (bool, error) { return l.completed(ctx, 0) > 0, nil }); err != nil {
		t.Fatalf("no checkpoint: %v", err)
	}
	return l
}

// completed returns how many checkpoints a jobmanager has seen completed since it leads, and notes when they were.
func (l *load) completed(ctx context.Context, i int) int {
	var answer struct {
		Counts  struct{ Completed int }
		History []struct {
			ID     int64
			Status string
			Acked  int64 `json:"latest_ack_timestamp"`
		}
	}
	if l.get(ctx, i, "/jobs/"+l.job+"/checkpoints", &answer) != nil {
		return 0
	}
	for _, c := range answer.History {
		if c.Status == "COMPLETED" {
			l.acked[c.ID] = c.Acked
		}
	}
	return answer.Counts.Completed
}

// gap is the longest time between two checkpoints.
func (l *load) gap() (longest time.Duration) {
	times := slices.Sorted(maps.Values(l.acked))
	for i := 1; i < len(times); i++ {
		longest = max(longest, time.Duration(times[i]-times[i-1])*time.Millisecond)
	}
	return longest
}

// suffer lets a fault befall the leader and ends it when another one has led for a while. No task may restart by it.
func (l *load) suffer(f fault) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), haPatience)
	defer cancel()
	old := l.leader(ctx)
	l.completed(ctx, old)
	if err := f.strike(l.council, old); err != nil {
		l.t.Fatal(err)
	}
	began := time.Now()
	next := l.leader(ctx, old)
	lead := time.Since(began)
	if err := poll(ctx, 10*time.Millisecond, func() (bool, error) { return l.completed(ctx, next) > 0, nil }); err != nil {
		l.t.Fatalf("no checkpoint after jm%d %s: %v", old+1, f.name, err)
	}
	both := time.Since(began)
	if err := f.heal(l.council, old); err != nil {
		l.t.Fatal(err)
	}
	healed := time.Now()
	l.whole(ctx)
	took := time.Since(healed)
	wait(ctx, 2*time.Second-took) // what the old one may still do shows
	l.completed(ctx, l.leader(ctx))
	l.neverRestarted(ctx, fmt.Sprintf("jm%d %s", old+1, f.name))
	l.faults++
	l.lead, l.both = max(l.lead, lead), max(l.both, both)
	l.t.Logf("jm%d %s: another one leads after %s, its first checkpoint is complete after %s; all is well %s after the end of it",
		old+1, f.name, lead.Round(time.Millisecond), both.Round(time.Millisecond), took.Round(time.Millisecond))
}

func (l *load) neverRestarted(ctx context.Context, after string) {
	l.t.Helper()
	if n, err := l.restarts(ctx); err != nil || n != "0" {
		l.t.Fatalf("%s restarts after %s: %v", n, after, err)
	}
}

func (l *load) restarts(ctx context.Context) (string, error) {
	var metrics []struct{ Value string }
	err := l.get(ctx, l.leader(ctx), "/jobs/"+l.job+"/metrics?get=numRestarts", &metrics)
	if err != nil || len(metrics) != 1 {
		return "", fmt.Errorf("metrics %v: %w", metrics, err)
	}
	return metrics[0].Value, nil
}

// finish ends the rows and compares what was published.
func (l *load) finish() {
	l.t.Helper()
	rows := l.stop()
	ctx, cancel := context.WithTimeout(l.t.Context(), haPatience)
	defer cancel()
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) { return len(publishedRows(l.t, l.out)) >= rows, nil }); err != nil {
		l.t.Errorf("rows: %v", err)
	}
	seen := make(map[string]bool)
	for _, row := range publishedRows(l.t, l.out) {
		if seen[row] {
			l.t.Errorf("row %s is published twice", row)
		}
		seen[row] = true
	}
	if len(seen) != rows {
		l.t.Errorf("%d rows are published, want %d", len(seen), rows)
	}
	l.t.Logf("%d faults, %d rows; at most %s to a new leader, %s to its first checkpoint, %s between two checkpoints",
		l.faults, rows, l.lead.Round(time.Millisecond), l.both.Round(time.Millisecond), l.gap())
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
