//go:build failpoint

package localcluster_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	jobmanager "pencere/jobmanager/daemon"
	"pencere/pkg/cli"
	"pencere/pkg/failpoint"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"
	taskmanager "pencere/taskmanager/daemon"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// programVariable makes this test's own program one of the project's, which then has the failpoints that the test has.
const programVariable = "PENCERE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(programVariable) {
	case "jobmanager":
		os.Exit(cli.Main(jobmanager.Command())) //nolint:forbidigo // this process is a jobmanager
	case "taskmanager":
		os.Exit(cli.Main(taskmanager.Command())) //nolint:forbidigo // this process is a taskmanager
	}
	m.Run()
}

// processes are a jobmanager and two taskmanagers of one slot, each a process that dies at its failpoints, one after the other,
// and is started again.
type processes struct {
	*fixture
	dir       string // state of the jobmanager
	rest, rpc string // host:port
	all       []*process
}

// process is one that is started again when it dies.
type process struct {
	name string
	args []string
	log  bytes.Buffer

	mu     sync.Mutex
	points []string // where it is still to die, as failpoint.Variable has them
	cmd    *exec.Cmd
	ended  bool // it is not to be started again
	done   chan struct{}
}

func newProcesses(t *testing.T, jobManager, taskManager []string) *processes {
	t.Helper()
	p := &processes{fixture: &fixture{t: t}, dir: t.TempDir(), rest: freeAddress(t), rpc: freeAddress(t)}
	var cancel context.CancelFunc
	p.ctx, cancel = context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	var err error
	p.broker, err = localcluster.StartBroker(localcluster.BrokerConfig{})
	p.check(err)
	t.Cleanup(p.broker.Close)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(p.broker.Addresses()...))
	p.check(err)
	t.Cleanup(kafka.Close)
	p.admin = kadm.NewClient(kafka)
	p.jobs, err = client.New(client.Config{Addresses: []string{p.rest}, Timeout: time.Minute})
	p.check(err)
	t.Cleanup(p.jobs.Close)
	p.start("jobmanager", jobManager, "--data-dir", p.dir, "--rest-addr", p.rest, "--rpc-addr", p.rpc, "--metrics-addr", "")
	for range 2 {
		p.start("taskmanager", taskManager, "--jobmanagers", p.rpc, "--data-addr", "127.0.0.1:0", "--metrics-addr", "")
	}
	p.poll("taskmanagers are registered", func() bool {
		overview, err := p.jobs.Overview(p.ctx)
		return err == nil && overview.TaskManagers == 2
	})
	return p
}

// freeAddress returns an address outside the range that the kernel hands to outgoing connections: nobody takes it while a
// process is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(12_000)))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
}

// start runs a process until the end of the test.
func (p *processes) start(name string, points []string, args ...string) {
	p.t.Helper()
	process := &process{name: name, args: args, points: points, done: make(chan struct{})}
	p.all = append(p.all, process)
	p.check(process.launch())
	go process.revive(p.t)
	p.t.Cleanup(func() {
		process.mu.Lock()
		process.ended = true
		_ = process.cmd.Process.Kill() // it may have ended by itself
		process.mu.Unlock()
		<-process.done
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", name, process.log.Bytes())
		}
	})
}

// launch starts the process. It dies at the first of its points.
func (p *process) launch() error {
	p.cmd = exec.Command(os.Args[0], p.args...)
	p.cmd.Env = append(os.Environ(), programVariable+"="+p.name)
	if len(p.points) > 0 {
		p.cmd.Env = append(p.cmd.Env, failpoint.Variable+"="+p.points[0])
	}
	p.cmd.Stderr = &p.log
	return p.cmd.Start()
}

// revive starts the process again when it has died at its point, until the test ends.
func (p *process) revive(t *testing.T) {
	defer close(p.done)
	for {
		_ = p.cmd.Wait() // its state says how it ended
		p.mu.Lock()
		if p.ended {
			p.mu.Unlock()
			return
		}
		status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != syscall.SIGKILL || len(p.points) == 0 {
			t.Errorf("%s ended by itself: %s", p.name, p.cmd.ProcessState)
			p.mu.Unlock()
			return
		}
		p.points = p.points[1:]
		err := p.launch()
		p.mu.Unlock()
		if err != nil {
			t.Errorf("start %s again: %v", p.name, err)
			return
		}
	}
}

// left returns how many points the process of that name that has died most often has not come to.
func (p *processes) left(name string) int {
	least := 1 << 10
	for _, process := range p.all {
		if process.name == name {
			process.mu.Lock()
			least = min(least, len(process.points))
			process.mu.Unlock()
		}
	}
	return least
}

// blobs returns the files of the checkpoints' state.
func (p *processes) blobs() (found []string) {
	p.t.Helper()
	p.check(filepath.WalkDir(filepath.Join(p.dir, "checkpoints"), func(path string, entry os.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err == nil && !entry.IsDir():
			found = append(found, path)
		}
		return err
	}))
	return found
}
