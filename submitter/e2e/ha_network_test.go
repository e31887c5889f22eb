//go:build e2e && chaos

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ether is a network of namespaces behind one bridge, in a namespace of its own, where no rule of this machine's reaches. This process has
// an address in it too.
type ether struct {
	t      *testing.T
	prefix string // of all names
	net    string // the first three bytes of all addresses
	last   int    // the last byte of the newest address
}

// newEther makes the network, until the end of the test.
func newEther(t *testing.T) *ether {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces are made by root: run make chaos-ha as root")
	}
	for _, tool := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("network namespaces need iproute2 and iptables: %v", err)
		}
	}
	pid := os.Getpid()
	e := &ether{t: t, prefix: fmt.Sprintf("pcr%d", pid%100000), net: fmt.Sprintf("10.%d.%d", 64+pid%64, pid/64%256), last: 1}
	hub := e.prefix + "hub"
	e.run("ip", "netns", "add", hub)
	t.Cleanup(func() { e.run("ip", "netns", "del", hub) })
	e.run("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
	e.run("ip", "-n", hub, "link", "set", "br0", "up")
	e.run("ip", "link", "add", e.prefix, "type", "veth", "peer", "name", "here", "netns", hub)
	t.Cleanup(func() { e.run("ip", "link", "del", e.prefix) }) // the kernel would take its time
	e.run("ip", "-n", hub, "link", "set", "here", "master", "br0", "up")
	e.run("ip", "address", "add", e.host()+"/24", "dev", e.prefix)
	e.run("ip", "link", "set", e.prefix, "up")
	return e
}

// host is this process's address.
func (e *ether) host() string { return e.net + ".1" }

// listen is net.Listen at it.
func (e *ether) listen(network, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return net.Listen(network, net.JoinHostPort(e.host(), port))
}

// place makes a namespace for a process.
func (e *ether) place(name string) place {
	e.t.Helper()
	hub, space := e.prefix+"hub", e.prefix+name
	e.last++
	host := fmt.Sprintf("%s.%d", e.net, e.last)
	e.run("ip", "netns", "add", space)
	e.t.Cleanup(func() { e.run("ip", "netns", "del", space) })
	e.run("ip", "-n", hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
	e.run("ip", "-n", hub, "link", "set", name, "master", "br0", "up")
	e.run("ip", "-n", space, "address", "add", host+"/24", "dev", "eth0")
	e.run("ip", "-n", space, "link", "set", "eth0", "up")
	e.run("ip", "-n", space, "link", "set", "lo", "up")
	return place{host: host, in: []string{"ip", "netns", "exec", space}}
}

func (e *ether) run(command ...string) {
	e.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil { //nolint:gosec // the commands of this file
		e.t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

// drop lets packets from some hosts, or to them, or both, vanish at a place. No hosts are all.
func (e *ether) drop(name string, from, to bool, hosts ...string) {
	e.t.Helper()
	rule := func(chain, flag string) {
		all := append([]string{"ip", "netns", "exec", e.prefix + name, "iptables", "-w"}, "-A", chain)
		if len(hosts) > 0 {
			all = append(all, flag, strings.Join(hosts, ","))
		}
		e.run(append(all, "-j", "DROP")...)
	}
	if from {
		rule("INPUT", "-s")
	}
	if to {
		rule("OUTPUT", "-d")
	}
}

func (e *ether) mend(name string) {
	e.t.Helper()
	e.run("ip", "netns", "exec", e.prefix+name, "iptables", "-w", "-F")
}

// partitions are the faults of a network. "Nobody" includes the taskmanagers.
func (e *ether) partitions() (all []fault) {
	heal := func(_ *council, i int) error { e.mend(jm(i)); return nil }
	for _, f := range []struct {
		name            string
		from, to, peers bool
	}{
		{"is cut off from the other jobmanagers", true, true, true},
		{"is cut off from everybody", true, true, false},
		{"does not hear the other jobmanagers", true, false, true},
		{"is not heard by the other jobmanagers", false, true, true},
		{"hears nobody", true, false, false},
		{"is heard by nobody", false, true, false},
	} {
		all = append(all, fault{f.name, func(c *council, i int) error {
			var hosts []string
			if f.peers {
				hosts = append(append(hosts, c.hosts[:i]...), c.hosts[i+1:]...)
			}
			e.drop(jm(i), f.from, f.to, hosts...)
			return nil
		}, heal})
	}
	return all
}

func jm(i int) string { return fmt.Sprintf("jm%d", i+1) }

// leadWithin is how soon another jobmanager must lead.
const leadWithin = 3 * time.Second

// Leaders are killed, paused and cut off, PENCERE_HA_FAULTS times, under load: another one leads soon, no task restarts, and every row is
// published once.
func TestLeaderPartitions(t *testing.T) {
	e := newEther(t)
	faults := append(e.partitions(), signals...)
	count, err := strconv.Atoi(os.Getenv("PENCERE_HA_FAULTS"))
	if err != nil {
		count = len(faults)
	}
	broker := startRows(t, e.listen)
	c := startCouncil(t, 3, e.place)
	for i := range 2 {
		c.taskManager(e.place(tm(i)), "--metrics-addr", "")
	}
	l := startLoad(t, c, broker, "restart_strategy: {type: none}")
	for n := range count {
		l.suffer(faults[n%len(faults)])
	}
	l.finish()
	if l.lead > leadWithin {
		t.Errorf("it took %s until another one led, more than %s", l.lead, leadWithin)
	}
}

// Two of five jobmanagers are killed at once, one of which leads; then two are cut off at once.
func TestTwoOfFive(t *testing.T) {
	e := newEther(t)
	broker := startRows(t, e.listen)
	c := startCouncil(t, 5, e.place)
	for i := range 2 {
		c.taskManager(e.place(tm(i)), "--metrics-addr", "")
	}
	l := startLoad(t, c, broker, "restart_strategy: {type: none}")
	for _, f := range []fault{signals[0], e.partitions()[1]} {
		both := func(act func(*council, int) error) func(*council, int) error {
			return func(c *council, i int) error {
				if err := act(c, i); err != nil {
					return err
				}
				return act(c, (i+1)%5)
			}
		}
		l.suffer(fault{"and the next: each " + f.name, both(f.strike), both(f.heal)})
	}
	l.finish()
}

// A taskmanager that reaches no jobmanager goes on with what was given to others meanwhile, until its lease ends. Nothing of it shows.
func TestTaskManagerCutOff(t *testing.T) {
	const lease = 25 * time.Second
	e := newEther(t)
	broker := startRows(t, e.listen)
	c := startCouncil(t, 3, e.place)
	hosts, metrics := make([]string, 3), make([]string, 3)
	for i := range hosts {
		p := e.place(tm(i))
		hosts[i], metrics[i] = p.host, p.host+":"+freePort(t)
		c.taskManager(p, "--lease", lease.String(), "--metrics-addr", metrics[i])
	}
	l := startLoad(t, c, broker, "")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	victim := slices.Index(hosts, l.busyHost(ctx))
	before := l.names()
	cut := time.Now()
	e.drop(tm(victim), true, true, c.hosts...)
	l.await(ctx, "the job goes on elsewhere", func() bool {
		restarts, err := l.restarts(ctx)
		return err == nil && restarts != "0" && l.completed(ctx, l.leader(ctx)) > 0
	})
	elsewhere := time.Since(cut)
	l.await(ctx, "checkpoints of the new attempt publish", func() bool { return len(l.names()) >= len(before)+8 })
	read := func() float64 { return sample(ctx, t, metrics[victim], "pencere_subtask_records_in_total") }
	at := read()
	t.Logf("%s after the cut it has read %.0f records", time.Since(cut), at)
	l.await(ctx, "the one that is cut off reads on", func() bool { return read() > at })
	if early := time.Since(cut); early > lease {
		t.Fatalf("the lease of %s was over before it was looked at, after %s", lease, early)
	}
	l.await(ctx, "its lease ends", func() bool { return sample(ctx, t, metrics[victim], "pencere_taskmanager_subtasks") == 0 })
	ended := time.Since(cut)
	if ended < lease {
		t.Errorf("its subtasks ended after %s, the lease is %s", ended, lease)
	}
	e.mend(tm(victim))
	l.await(ctx, "it is back", func() bool {
		overview, err := c.jobs.Overview(ctx)
		return err == nil && overview.TaskManagers == 3
	})
	l.finish()
	l.await(ctx, "nothing but what belongs there is in the directory", func() bool {
		said, err := exec.CommandContext(ctx, program(t, "submitter"), "verify", l.out).CombinedOutput() //nolint:gosec // our own
		return err != nil && strings.Contains(string(said), "intact so far: ")                           // the job goes on
	})
	t.Logf("the job went on elsewhere after %s; the subtasks of the one that was cut off ended after %s", elsewhere, ended)
}

func tm(i int) string { return fmt.Sprintf("tm%d", i+1) }

func (l *load) await(ctx context.Context, what string, ok func() bool) {
	l.t.Helper()
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) { return ok(), nil }); err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
}

// busyHost is that of a taskmanager all of whose slots are in use.
func (l *load) busyHost(ctx context.Context) (host string) {
	l.t.Helper()
	l.await(ctx, "a taskmanager that is in use", func() bool {
		var answer struct {
			TaskManagers []struct {
				Path      string
				FreeSlots int
			}
		}
		if l.get(ctx, l.leader(ctx), "/taskmanagers", &answer) != nil {
			return false
		}
		for _, one := range answer.TaskManagers {
			if one.FreeSlots == 0 {
				host, _, _ = net.SplitHostPort(one.Path)
			}
		}
		return host != ""
	})
	return host
}

// names are those of the finished files.
func (l *load) names() []string {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join(l.out, "part-*.csv"))
	if err != nil {
		l.t.Fatal(err)
	}
	return files
}

// sample is the sum of all series of a metric at an address, -1 if it does not answer.
func sample(ctx context.Context, t *testing.T, address, name string) (sum float64) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return -1
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if series, value, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(series, name) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
