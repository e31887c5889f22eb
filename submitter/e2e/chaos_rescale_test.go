//go:build e2e && chaos

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

const (
	rescalesPerRun = 20
	rescaleSlots   = 2 // of a taskmanager
	mostMembers    = 3 // with which there are more slots than partitions
)

// Taskmanagers join, leave by SIGTERM, and die by SIGKILL under a job that follows the slots, 20 times in each of PENCERE_RESCALE_RUNS
// runs: every row is published once, the ledger balances, and only deaths count as restarts. Reported is for how long at most nothing
// was published around each change.
func TestRescaleCampaign(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("PENCERE_RESCALE_RUNS"))
	if err != nil {
		runs = 1
	}
	first := chaosSeed(t)
	pauses := make(map[change][]time.Duration)
	for n := range runs {
		seed := first + uint64(n)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			for what, times := range newRescaleTrial(t, seed).run() {
				pauses[what] = append(pauses[what], times...)
			}
		})
		t.Logf("after %d of %d runs: %s", n+1, runs, summary(pauses))
	}
}

// change is what happens to the taskmanagers.
type change string

const (
	join  change = "join"
	leave change = "leave"
	die   change = "death"
)

// member is a taskmanager's process.
type member struct {
	name    string
	command *exec.Cmd
	gone    chan struct{} // closed when it has ended
	err     error         // what Wait returned, then
}

type rescaleTrial struct {
	t       *testing.T
	random  *rand.Rand
	arena   *arena
	job     *chaosJob
	members []*member
	started int
	deaths  int
}

func newRescaleTrial(t *testing.T, seed uint64) *rescaleTrial {
	t.Helper()
	t.Logf("seed %d: PENCERE_CHAOS_SEED=%[1]d deals the same changes", seed)
	r := &rescaleTrial{t: t, random: rand.New(rand.NewPCG(seed, 2))}
	r.arena = newArena(t, 0, 0, "--rescale-quiet", "200ms", "--rescale-cool-down", "500ms")
	t.Cleanup(func() {
		for _, m := range r.members {
			_ = m.command.Process.Kill() // it may have ended
			<-m.gone
		}
	})
	return r
}

func (r *rescaleTrial) run() map[change][]time.Duration {
	t, a := r.t, r.arena
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	r.join()
	live := newFeed(t, a.broker, "live", r.random)
	kind := []jobKind{passedJob, listingsJob, totalsJob}[r.random.IntN(3)]
	var err error
	if r.job, err = a.submit(ctx, kind, "live-"+kind.name, live.topic, "auto", false); err != nil {
		t.Fatal(err)
	}
	flowing, dry := context.WithCancel(ctx)
	var streaming sync.WaitGroup
	streaming.Go(func() { live.stream(flowing, 2000) })
	watching, unwatch := context.WithCancel(ctx)
	published := watchPublications(watching, r.job.out)
	r.settled(ctx, published, time.Now())
	pauses := make(map[change][]time.Duration)
	for n := range rescalesPerRun {
		wait(ctx, time.Duration(r.random.IntN(1000))*time.Millisecond)
		began, what := time.Now(), r.change(ctx)
		pause := r.settled(ctx, published, began)
		pauses[what] = append(pauses[what], pause)
		t.Logf("%2d: %-5s to %d taskmanagers: nothing published for %d ms, as wide as they are after %d ms",
			n+1, what, len(r.members), pause.Milliseconds(), time.Since(began).Milliseconds())
	}
	dry()
	streaming.Wait()
	unwatch()
	if err := live.finish(ctx); err != nil {
		t.Fatal(err)
	}
	topic, err := readTopic(ctx, a.broker, live.topic)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.settle(ctx, r.job, topic); err != nil {
		t.Errorf("%s (%s): %v", r.job.name, r.job.id, err)
	}
	if r.job.seen.restarts > r.deaths {
		t.Errorf("%d restarts are counted, %d taskmanagers died", r.job.seen.restarts, r.deaths)
	}
	t.Logf("%s: %d records, %d rows proved; %s; otherwise something is published each %d ms (median)",
		kind.name, live.records, a.replayed.Load(), summary(pauses), published.median().Milliseconds())
	return pauses
}

// change does one of the things that are possible.
func (r *rescaleTrial) change(ctx context.Context) change {
	what := []change{join, leave, die}[r.random.IntN(3)]
	if len(r.members) == 1 {
		what = join
	}
	if what == join && len(r.members) < mostMembers {
		r.join()
		return join
	}
	if what == join {
		what = leave
	}
	i := r.random.IntN(len(r.members))
	m := r.members[i]
	r.members = slices.Delete(r.members, i, i+1)
	signal := syscall.SIGTERM
	if what == die {
		signal = syscall.SIGKILL
		r.deaths++
	}
	if err := m.command.Process.Signal(signal); err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-m.gone:
		if what == leave && m.err != nil {
			r.t.Errorf("%s did not leave in peace: %v\n%s", m.name, m.err, tail(r.arena.log(m.name)))
		}
	case <-ctx.Done():
		_ = m.command.Process.Kill()
		r.t.Fatalf("%s does not end:\n%s", m.name, tail(r.arena.log(m.name)))
	}
	return what
}

// join starts a taskmanager.
func (r *rescaleTrial) join() {
	r.t.Helper()
	m := &member{name: taskManagerName(r.started), gone: make(chan struct{})}
	r.started++
	log, err := os.Create(r.arena.log(m.name))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	m.command = exec.Command(program(r.t, "taskmanager"), "--jobmanagers", r.arena.rpc, "--slots", strconv.Itoa(rescaleSlots),
		"--data-addr", "127.0.0.1:0", "--metrics-addr", "")
	m.command.Stderr = log
	if err := m.command.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		m.err = m.command.Wait()
		close(m.gone)
	}()
	r.members = append(r.members, m)
}

// settled waits until the job runs as wide as the taskmanagers allow and publishes, and returns for how long at most it has published
// nothing since a change began.
func (r *rescaleTrial) settled(ctx context.Context, published *publications, began time.Time) time.Duration {
	r.t.Helper()
	width := min(rescaleSlots*len(r.members), chaosPartitions)
	err := poll(ctx, 20*time.Millisecond, func() (bool, error) {
		var job client.Job
		if r.arena.get(ctx, "/jobs/"+r.job.id, &job) != nil {
			return false, nil //nolint:nilerr // it is asked again
		}
		if client.Terminal(job.State) {
			return true, r.arena.failure(r.job, job.State)
		}
		narrow := func(v client.Vertex) bool { return v.Parallelism != width || v.Status != "RUNNING" }
		return len(job.Vertices) > 0 && !slices.ContainsFunc(job.Vertices, narrow), nil
	})
	if err != nil {
		r.t.Fatalf("the job does not get to parallelism %d: %v", width, err)
	}
	now, pause := time.Now(), time.Duration(0)
	if err := poll(ctx, 10*time.Millisecond, func() (done bool, _ error) {
		pause, done = published.longest(began, now)
		return done, nil
	}); err != nil {
		r.t.Fatalf("nothing is published at parallelism %d: %v", width, err)
	}
	return pause
}

// publications are the times at which files were finished.
type publications struct {
	mu    sync.Mutex
	times []time.Time
}

// watchPublications looks at a directory until ctx ends.
func watchPublications(ctx context.Context, dir string) *publications {
	p := &publications{}
	go func() {
		files := 0
		_ = poll(ctx, 10*time.Millisecond, func() (bool, error) { // only ctx ends it
			now := finishedFiles(dir)
			if now > files {
				p.mu.Lock()
				p.times = append(p.times, time.Now())
				p.mu.Unlock()
			}
			files = now
			return false, nil
		})
	}()
	return p
}

// finishedFiles counts a job's files; there are none before it has begun.
func finishedFiles(dir string) (n int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "part-") {
			n++
		}
	}
	return n
}

// longest returns the longest time without a publication that ended between two times, or a little after the second; false until something
// was published after that.
func (p *publications) longest(began, until time.Time) (gap time.Duration, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range p.times {
		if i > 0 && at.After(began) {
			gap = max(gap, at.Sub(p.times[i-1]))
		}
		if at.After(until) {
			return gap, true
		}
	}
	return gap, false
}

// median returns the median time between two publications.
func (p *publications) median() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var gaps []time.Duration
	for i := range p.times[1:] {
		gaps = append(gaps, p.times[i+1].Sub(p.times[i]))
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

func summary(pauses map[change][]time.Duration) string {
	var all []time.Duration
	var parts []string
	say := func(what string, times []time.Duration) {
		if len(times) > 0 {
			slices.Sort(times)
			parts = append(parts, fmt.Sprintf("%d %s: median %d ms, most %d ms", len(times), what,
				times[len(times)/2].Milliseconds(), times[len(times)-1].Milliseconds()))
		}
	}
	for _, what := range []change{join, leave, die} {
		say(string(what), slices.Clone(pauses[what]))
		all = append(all, pauses[what]...)
	}
	say("in all", all)
	return "without output: " + strings.Join(parts, "; ")
}
