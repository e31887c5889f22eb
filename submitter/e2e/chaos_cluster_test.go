//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

// victim is a process that is killed, stopped and started again. What is done to it takes its turn.
type victim struct {
	name string
	// launch starts the process and returns its id. gone is closed when it has ended; nil for one that is nobody's child.
	launch func() (pid int, gone <-chan struct{}, err error)
	// vanished waits until a killed process holds no port any more.
	vanished func(ctx context.Context) error

	mu     sync.Mutex // held during a blow
	pid    int
	gone   <-chan struct{}
	killed chan struct{} // closed before the process is to end
}

// arena is a cluster and a broker whose processes are made to suffer.
type arena struct {
	t            *testing.T
	dir          string // logs, state and output
	broker, rest string // host:port
	rpc          string // of the jobmanager, for taskmanagers
	jobs         *client.Client
	victims      map[string]*victim
	blows        sync.WaitGroup
	replayed     atomic.Int64 // rows that submitter verify --replay has proved
}

// newArena starts the processes, the jobmanager with flags beside its own. At the end of the test they are killed, and the directory is
// removed if the test passed.
func newArena(t *testing.T, taskManagers, slots int, flags ...string) *arena {
	t.Helper()
	dir, err := os.MkdirTemp("", "pencere-chaos-") //nolint:usetesting // it stays when the test has failed
	if err != nil {
		t.Fatal(err)
	}
	a := &arena{t: t, dir: dir, victims: make(map[string]*victim)}
	t.Cleanup(func() {
		a.end()
		if t.Failed() {
			t.Logf("logs, state and output are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir) // a temporary directory
	})
	if err := os.Mkdir(a.out(), 0o700); err != nil {
		t.Fatal(err)
	}
	brokerPort := freePort(t)
	a.broker, a.rest = "127.0.0.1:"+brokerPort, "127.0.0.1:"+freePort(t)
	a.rpc = "127.0.0.1:" + freePort(t)
	if a.jobs, err = client.New(client.Config{Addresses: []string{a.rest}, Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	a.add(&victim{name: broker, launch: a.launchBroker(brokerPort), vanished: a.brokerVanished})
	a.add(a.program(jobManager, "jobmanager", append([]string{"--data-dir", filepath.Join(dir, "state"), "--rest-addr", a.rest,
		"--rpc-addr", a.rpc, "--raft-addr", "127.0.0.1:" + freePort(t), "--metrics-addr", ""}, flags...)...))
	for i := range taskManagers {
		a.add(a.program(taskManagerName(i), "taskmanager", "--jobmanagers", a.rpc, "--slots", strconv.Itoa(slots),
			"--data-addr", "127.0.0.1:0", "--metrics-addr", ""))
	}
	return a
}

// freePort returns a port outside the range that the kernel hands to outgoing connections: nobody takes it while a program
// is down.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
}

func (a *arena) add(v *victim) {
	a.t.Helper()
	a.victims[v.name] = v
	if err := a.start(v); err != nil {
		a.t.Fatal(err)
	}
}

// start launches a process and watches that it does not end by itself.
func (a *arena) start(v *victim) (err error) {
	if v.pid, v.gone, err = v.launch(); err != nil {
		return fmt.Errorf("start %s: %w", v.name, err)
	}
	killed := make(chan struct{})
	v.killed = killed
	if v.gone == nil {
		return nil
	}
	go func(gone <-chan struct{}) {
		<-gone
		select {
		case <-killed:
		default:
			a.t.Errorf("%s ended by itself:\n%s", v.name, tail(a.log(v.name)))
		}
	}(v.gone)
	return nil
}

func (a *arena) log(name string) string { return filepath.Join(a.dir, name+".log") }

// tail returns the end of a file.
func tail(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-4000):]
}

// program is a program of ours, whose log grows over its restarts.
func (a *arena) program(name, built string, args ...string) *victim {
	path := program(a.t, built)
	launch := func() (int, <-chan struct{}, error) {
		log, err := os.OpenFile(a.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = log.Close() }() // the child has its own
		command := exec.Command(path, args...)
		command.Stderr = log
		if err := command.Start(); err != nil {
			return 0, nil, err
		}
		gone := make(chan struct{})
		go func() {
			_ = command.Wait() // it is killed; whether it should have been is asked elsewhere
			close(gone)
		}()
		return command.Process.Pid, gone, nil
	}
	return &victim{name: name, launch: launch, vanished: func(context.Context) error { return nil }}
}

func (a *arena) launchBroker(port string) func() (int, <-chan struct{}, error) {
	dir := filepath.Join(a.dir, broker)
	return func() (int, <-chan struct{}, error) {
		if out, err := exec.Command("../../.ci/kafka", "start", dir, port).CombinedOutput(); err != nil {
			return 0, nil, fmt.Errorf("%w\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err != nil {
			return 0, nil, err
		}
		pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		return pid, nil, err
	}
}

func (a *arena) brokerVanished(ctx context.Context) error {
	return poll(ctx, 20*time.Millisecond, func() (bool, error) {
		conn, err := net.Dial("tcp", a.broker)
		if err != nil {
			return true, nil //nolint:nilerr // that nobody answers is what is waited for
		}
		return false, conn.Close()
	})
}

// poll asks until the answer is yes.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// suffer deals the blows at their times and returns when all processes run again.
func (a *arena) suffer(ctx context.Context, blows []blow) {
	began := time.Now()
	for _, b := range blows {
		wait(ctx, b.at-time.Since(began))
		a.blows.Go(func() {
			if err := a.strike(ctx, b); err != nil {
				a.t.Errorf("%s: %v", b, err)
			}
		})
	}
	a.blows.Wait()
}

// strike deals a blow. A process that suffers another one takes this one after it.
func (a *arena) strike(ctx context.Context, b blow) error {
	v := a.victims[b.victim]
	v.mu.Lock()
	defer v.mu.Unlock()
	if !b.kill {
		if err := syscall.Kill(v.pid, syscall.SIGSTOP); err != nil {
			return err
		}
		wait(ctx, b.lasts)
		return syscall.Kill(v.pid, syscall.SIGCONT)
	}
	if b.aimed {
		a.awaitFiles(ctx)
		wait(ctx, b.after)
	}
	if err := a.kill(ctx, v); err != nil {
		return err
	}
	wait(ctx, b.lasts)
	return a.start(v)
}

// awaitFiles waits until a job opens or publishes a file, but not long.
func (a *arena) awaitFiles(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	before := a.changed()
	_ = poll(ctx, 200*time.Microsecond, func() (bool, error) { return !a.changed().Equal(before), nil }) // without one the blow falls all the same
}

// changed returns when names in the output directories last changed.
func (a *arena) changed() (newest time.Time) {
	dirs, err := os.ReadDir(a.out())
	if err != nil {
		return newest // nothing was written yet
	}
	for _, dir := range dirs {
		if info, err := dir.Info(); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// out holds the output directories of the jobs.
func (a *arena) out() string { return filepath.Join(a.dir, "out") }

func (a *arena) kill(ctx context.Context, v *victim) error {
	close(v.killed)
	if err := syscall.Kill(v.pid, syscall.SIGKILL); err != nil {
		return err
	}
	if v.gone != nil {
		<-v.gone
	}
	return v.vanished(ctx)
}

// end kills what runs.
func (a *arena) end() {
	a.blows.Wait()
	a.jobs.Close()
	for _, v := range a.victims {
		if v.pid == 0 {
			continue
		}
		if err := a.kill(context.Background(), v); err != nil {
			a.t.Errorf("kill %s: %v", v.name, err)
		}
	}
}

// get asks REST once. A jobmanager that is down is an error.
func (a *arena) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.rest+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or does not matter
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
