package replica

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// fleet is some jobmanagers' replicas in this process.
type fleet struct {
	*testing.T
	dir   string
	peers map[string]string // given to all
	nodes map[string]*Replica
	logs  map[string]*lines
}

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// newFleet knows of jm1 to jmN, none of which runs.
func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	t.Parallel() // most of it is waiting
	f := &fleet{T: t, dir: t.TempDir(), peers: make(map[string]string), nodes: make(map[string]*Replica), logs: make(map[string]*lines)}
	for i := range n {
		f.peers[fmt.Sprintf("jm%d", i+1)] = freeAddress(t)
	}
	t.Cleanup(func() {
		for id := range f.nodes {
			f.stop(id)
		}
		if t.Failed() {
			for id, l := range f.logs {
				t.Logf("%s said:\n%s", id, l)
			}
		}
	})
	return f
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (f *fleet) start(ids ...string) {
	f.Helper()
	for _, id := range ids {
		f.startWith(id, f.peers)
	}
}

func (f *fleet) startWith(id string, peers map[string]string) {
	f.Helper()
	if f.logs[id] == nil {
		f.logs[id] = new(lines)
	}
	r, err := Open(Config{
		ID: id, Dir: filepath.Join(f.dir, id), Addr: peers[id], Peers: peers, SnapshotThreshold: 16, SnapshotInterval: 20 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(f.logs[id], nil)),
	})
	if err != nil {
		f.Fatal(err)
	}
	go func() {
		for range r.Leadership() { // it must be read; raft never closes it
		}
	}()
	f.nodes[id] = r
}

func (f *fleet) stop(ids ...string) {
	f.Helper()
	for _, id := range ids {
		if err := f.nodes[id].Close(); err != nil {
			f.Error(err)
		}
		delete(f.nodes, id)
	}
}

// wipe takes a stopped node's disk away.
func (f *fleet) wipe(id string) {
	f.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, id)); err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) until(what string, ok func() bool) {
	f.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			f.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// leader waits until a node leads.
func (f *fleet) leader() (r *Replica) {
	f.Helper()
	f.until("a leader", func() bool {
		for _, n := range f.nodes {
			if n.Leads() && n.Ready() == nil {
				r = n
				return true
			}
		}
		return false
	})
	return r
}

// voters waits until all that run vote and nobody else does, and returns the leader.
func (f *fleet) voters() *Replica {
	f.Helper()
	r := f.leader()
	f.until("all vote", func() bool {
		members := r.Members(f.Context())
		for _, m := range members {
			if !m.Voter || m.Joining || !m.Reachable {
				return false
			}
		}
		return len(members) == len(f.nodes)
	})
	return r
}

func (f *fleet) follower() string {
	f.Helper()
	for id, n := range f.nodes {
		if !n.Leads() {
			return id
		}
	}
	f.Fatal("no follower")
	return ""
}

// apply has the leader apply commands, whoever that is.
func (f *fleet) apply(commands ...*storagev1.Command) {
	f.Helper()
	for _, c := range commands {
		f.until("a command is applied", func() bool {
			err := f.leader().Apply(f.Context(), c)
			if err != nil && !errors.Is(err, ErrNotLeader) {
				f.Fatal(err)
			}
			return err == nil
		})
	}
}

// silence fails if a node comes to lead within a while.
func (f *fleet) silence(why string) {
	f.Helper()
	deadline := time.After(4 * electionTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for id, n := range f.nodes {
			if n.Leads() {
				f.Fatalf("%s leads: %s", id, why)
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			return
		}
	}
}

func (f *fleet) says(id, what string) {
	f.Helper()
	f.until(id+" says: "+what, func() bool { return strings.Contains(f.logs[id].String(), what) })
}

// A new cluster begins when all have come, and not before.
func TestClusterBegins(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2")
	f.says("jm1", `reason="its disk is empty, and before a new cluster begins all must have answered: jm3 did not"`)
	f.silence("jm3 might have a disk")
	f.start("jm3")
	f.voters()
	f.apply(submitJob("a"))
	f.until("all have the job", func() bool {
		return len(f.nodes["jm1"].Jobs())+len(f.nodes["jm2"].Jobs())+len(f.nodes["jm3"].Jobs()) == 3
	})
	f.stop("jm1", "jm2", "jm3")
	f.start("jm2", "jm3") // with their disks two are enough
	f.apply(submitJob("b"))
}

// A leader that ends hands its leadership over, so that nobody has to find out that it is gone.
func TestLeaderEnds(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	var took []time.Duration
	for range 5 { // the machine may be busy
		old := f.leader().id
		f.stop(old)
		ended := time.Now()
		f.leader()
		took = append(took, time.Since(ended))
		f.start(old)
		f.voters()
		if took[len(took)-1] < electionTimeout/2 {
			return
		}
	}
	t.Errorf("it took %v until another one led; elections begin after %s", took, electionTimeout)
}

// A node that lost its disk has all again, from a snapshot and the log behind it, and its vote counts.
func TestEmptyDiskCatchesUp(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	f.apply(submitJob("a"))
	for i := range 100 { // the log's beginning is cut off
		f.apply(beginAttempt("a", int32(i)))
	}
	f.until("a snapshot", func() bool {
		first, err := f.leader().store.FirstIndex()
		return err == nil && first > 50
	})
	lost := f.follower()
	f.stop(lost)
	f.wipe(lost)
	f.apply(beginAttempt("a", 1000), submitJob("b"))
	f.start(lost)
	f.says(lost, "jobmanager has caught up with the cluster")
	want := f.leader().Jobs()
	f.until("its table is the leader's", func() bool {
		got := f.nodes[lost].Jobs()
		return len(got) == len(want)
	})
	if job, err := f.nodes[lost].Job("a"); err != nil || job.GetAttempt() != 1000 {
		t.Errorf("job after the loss of a disk: %v, %v", job, err)
	}
	var early raft.Log
	if err := f.nodes[lost].store.GetLog(10, &early); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("its log has entry 10, %v: it did not come from a snapshot", err)
	}
	f.voters()
	for id := range f.nodes {
		if id != lost {
			f.stop(id)
			break
		}
	}
	f.apply(submitJob("c")) // by one that had a disk and one that lost it
}

// What only a dead leader and a node that has lost its disk since had acknowledged is not lost: the latter does not help to elect one who
// never had it.
func TestNoVoteWithoutADisk(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	leader := f.voters().id
	f.apply(submitJob("a"))
	var others []string
	for id := range f.nodes {
		if id != leader {
			others = append(others, id)
		}
	}
	forgetful, behind := others[0], others[1]
	f.stop(behind)
	f.apply(submitJob("b"))
	f.stop(forgetful, leader)
	f.wipe(forgetful)
	f.start(forgetful, behind)
	f.says(forgetful, `reason="its disk is empty, and what it knew `+leader+` must say: no answer from a disk that is whole"`)
	f.silence(forgetful + " and " + behind + " do not know of job b")
	f.start(leader)
	f.voters()
	if jobs := f.leader().Jobs(); len(jobs) != 2 {
		t.Errorf("%d jobs are left, want 2", len(jobs))
	}
}

// One of five comes back without its disk while another one is away: three others are enough, for one of them leads.
func TestEmptyDiskAmongFive(t *testing.T) {
	f := newFleet(t, 5)
	f.start("jm1", "jm2", "jm3", "jm4", "jm5")
	f.voters()
	f.apply(submitJob("a"))
	lost := f.follower()
	f.stop(lost)
	f.wipe(lost)
	away := f.follower()
	f.stop(away)
	f.start(lost)
	f.says(lost, "jobmanager has caught up with the cluster")
	f.until("it has the job", func() bool { return len(f.nodes[lost].Jobs()) == 1 })
	other := f.follower()
	f.stop(other)
	f.apply(submitJob("b")) // by three of five
}

// Two of three that lost their disks begin no cluster beside the third.
func TestNoSecondCluster(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	f.apply(submitJob("a"))
	f.stop("jm1", "jm2", "jm3")
	f.wipe("jm1")
	f.wipe("jm2")
	f.start("jm1", "jm2")
	f.silence("jm3 is away")
	f.start("jm3")
	f.says("jm1", `what it knew jm2 must say: no answer from a disk that is whole"`)
	f.silence("two of three disks are lost")
}

// One that loses its disk and is stopped before it has caught up is still one without a disk.
func TestJoiningSurvivesARestart(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	f.stop("jm1", "jm2", "jm3")
	f.wipe("jm1")
	f.start("jm1")
	f.says("jm1", "all must have answered: jm2, jm3 did not")
	f.stop("jm1")
	f.start("jm1", "jm2")
	f.silence("jm3 was not asked")
	f.start("jm3")
	f.voters()
}

// A jobmanager alone becomes one of three, with its jobs.
func TestOneBecomesThree(t *testing.T) {
	f := newFleet(t, 3)
	f.startWith("jm1", nil)
	f.apply(submitJob("a"))
	f.stop("jm1")
	f.start("jm3", "jm2", "jm1")
	f.voters()
	f.until("all have the job", func() bool {
		return len(f.nodes["jm1"].Jobs())+len(f.nodes["jm2"].Jobs())+len(f.nodes["jm3"].Jobs()) == 3
	})
	f.stop("jm1", "jm2", "jm3")
	_, err := Open(Config{ID: "jm1", Dir: filepath.Join(f.dir, "jm1"), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "is that of one of the jobmanagers jm1, jm2, jm3: name them all in --peers") {
		t.Errorf("one of three started alone: %v", err)
	}
}

// A node may come back under another address.
func TestAddressChanges(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	f.stop("jm1", "jm2", "jm3")
	f.peers["jm2"] = freeAddress(t)
	f.start("jm1", "jm2", "jm3")
	f.until("the new address", func() bool {
		for _, m := range f.leader().Members(t.Context()) {
			if m.ID == "jm2" {
				return m.Address == f.peers["jm2"] && m.Reachable
			}
		}
		return false
	})
}

func wantRefused(t *testing.T, err error, want string) {
	t.Helper()
	var why *RefusedError
	if !errors.As(err, &why) || err.Error() != want {
		t.Errorf("refused with %v\nwant %s", err, want)
	}
}

func TestMembersAreAddedAndRemoved(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	leader := f.voters()
	f.apply(submitJob("a"))
	nobody := freeAddress(t)
	wantRefused(t, leader.AddMember(t.Context(), "jm4", nobody), "no jobmanager answers at "+nobody+
		": start it first, with an empty directory, --id jm4 and --peers that name it and the members: connect: connection refused")
	wantRefused(t, leader.AddMember(t.Context(), "jm4", "host4"), `address host4: missing port in address, want host:port`)
	wantRefused(t, leader.AddMember(t.Context(), "jm2", f.peers["jm2"]), "jm2 is a member already")
	wantRefused(t, leader.AddMember(t.Context(), "jm2", nobody), "jm2 is a member already, at "+f.peers["jm2"]+": remove that one first")
	wantRefused(t, leader.AddMember(t.Context(), "jm4", f.peers["jm3"]), "the jobmanager at "+f.peers["jm3"]+" is jm3, not jm4")
	if err := f.nodes[f.follower()].AddMember(t.Context(), "jm4", nobody); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower adds: %v", err)
	}

	four := map[string]string{"jm4": freeAddress(t), "jm1": f.peers["jm1"]}
	f.startWith("jm4", four)
	f.says("jm4", "joins the cluster")
	if err := f.leader().AddMember(t.Context(), "jm4", four["jm4"]); err != nil {
		t.Fatal(err)
	}
	f.voters()
	f.until("it has the job", func() bool { return len(f.nodes["jm4"].Jobs()) == 1 })

	if err := f.leader().RemoveMember(t.Context(), "jm9"); !errors.Is(err, ErrNoMember) || err.Error() != "jm9: no such member" {
		t.Errorf("removal of an unknown one: %v", err)
	}
	old := f.leader()
	if err := old.RemoveMember(t.Context(), old.id); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("a leader removes itself: %v", err)
	}
	f.until("another one leads", func() bool { return f.leader() != old })
	if err := f.leader().RemoveMember(t.Context(), old.id); err != nil {
		t.Fatal(err)
	}
	f.stop(old.id)
	f.voters()

	dead := f.follower()
	f.stop(dead)
	third := f.follower()
	wantRefused(t, f.leader().RemoveMember(t.Context(), third),
		fmt.Sprintf("without %s 2 of 2 voters would have to be there, and %s is not well: bring that back first", third, dead))
	if err := f.leader().RemoveMember(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	f.voters()
	if err := f.leader().RemoveMember(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	f.stop(third)
	last := f.voters()
	wantRefused(t, last.RemoveMember(t.Context(), last.id), last.id+" is the only voter: without it nothing is left")
	if len(last.Jobs()) != 1 {
		t.Errorf("%d jobs are left", len(last.Jobs()))
	}
}

func TestMembersOfOneAlone(t *testing.T) {
	r := open(t, t.TempDir())
	got := r.Members(t.Context())
	for i := range got {
		got[i].Term, got[i].LastIndex, got[i].AppliedIndex = 0, 0, 0
	}
	if diff := cmp.Diff("[{jm1  true true true false leader 0 0 0}]", fmt.Sprint(got)); diff != "" {
		t.Error(diff)
	}
	wantRefused(t, r.AddMember(t.Context(), "jm2", "host:1"), "jobmanager jm1 runs alone: start it with --peers jm1=HOST:PORT, where others find its --raft-addr")
	wantRefused(t, r.RemoveMember(t.Context(), "jm1"), "jm1 is the only voter: without it nothing is left")
}
