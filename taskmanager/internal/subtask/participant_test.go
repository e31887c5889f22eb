package subtask

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
	"pencere/taskmanager/internal/exchange"
)

// published counts the rows in finished files.
func published(t *testing.T, dir string) (rows int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "part-*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rows += bytes.Count(text, []byte("\n"))
	}
	return rows
}

// participation is what a subtask that writes all it reads must publish.
type participation struct {
	*world
	random    *rand.Rand
	read      int
	published int
	newest    checkpoint.ID
	held      map[checkpoint.ID]int // rows in a checkpoint that is neither committed nor aborted
}

func (p *participation) step() {
	p.t.Helper()
	switch p.random.IntN(5) {
	case 0:
		f := records(0, make([]int, 1+p.random.IntN(3))...)
		p.read += len(f.Records)
		f.Next = int64(p.read)
		p.reader.put(f)
	case 1:
		p.newest++
		p.task.Trigger(p.newest, checkpoint.Periodic)
		if next := p.world.acked(p.newest).Splits[0].Next; next != int64(p.read) {
			p.t.Fatalf("checkpoint %d goes on from %d, want %d", p.newest, next, p.read)
		}
		p.held[p.newest] = p.read
	case 2:
		p.commitOldest()
	case 3: // the newest is under way, if any is
		p.task.Abort(p.newest)
		delete(p.held, p.newest)
	case 4:
		p.commit(1000) // of nobody
	}
	p.check()
}

func (p *participation) commitOldest() {
	for id := checkpoint.ID(1); id <= p.newest; id++ {
		if rows, ok := p.held[id]; ok {
			p.commit(id)
			p.published = max(p.published, rows)
			delete(p.held, id)
			return
		}
	}
}

func (p *participation) check() {
	p.t.Helper()
	synctest.Wait()
	if rows := published(p.t, p.dir); rows != p.published {
		p.t.Fatalf("%d rows are published, want %d", rows, p.published)
	}
	if told := p.rows(); told != int64(p.published) {
		p.t.Fatalf("the jobmanager was told of %d rows, %d are published", told, p.published)
	}
}

// end returns the entry that closes the job's manifest with a checkpoint.
func (p *participation) end(id checkpoint.ID) manifest.Entry {
	p.t.Helper()
	_, entry, err := manifest.End(manifest.Head{}, manifest.Checkpoint{ID: int64(id), Job: "job"})
	if err != nil {
		p.t.Fatal(err)
	}
	return entry
}

func encoded(t *testing.T, e manifest.Entry) []byte {
	t.Helper()
	text, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Whatever the order of acks, commits and aborts, a commit publishes what its checkpoint holds: no more, no less, nothing twice.
func TestParticipation(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			inWorld(t, "bounded\n", 1, func(w *world) {
				p := &participation{world: w, random: rand.New(rand.NewPCG(seed, 1)), held: map[checkpoint.ID]int{}}
				for range 30 {
					p.step()
				}
				w.reader.put(kafka.Fetch{Next: int64(p.read), Done: true})
				if next := w.over(p.newest).Splits[0].Next; next != int64(p.read) {
					t.Errorf("ends at %d, want %d", next, p.read)
				}
				// Commits of checkpoints before the end do not end it.
				for len(p.held) > 0 {
					p.commitOldest()
					p.check()
				}
				select {
				case err := <-w.ended:
					t.Fatalf("ended before its last state was committed: %v", err)
				default:
				}
				w.task.Abort(p.newest + 1)
				p.check()
				// The first checkpoint with the last state is the last one of the job only if all subtasks had ended.
				w.commit(p.newest + 2)
				p.published = p.read
				p.check()
				select {
				case err := <-w.ended:
					t.Fatalf("ended before it closed the manifest: %v", err)
				default:
				}
				end := p.end(p.newest + 3)
				w.task.Commit(&controlv1.CheckpointCommit{CheckpointId: uint64(end.Checkpoint.ID), ManifestEnd: encoded(t, end)})
				w.endsWith("")
				p.check()
				if report, err := manifestdir.Verify(os.DirFS(w.dir)); err != nil || len(report.Jobs) != 1 || !report.Jobs[0].Ended {
					t.Errorf("the manifest is not closed: %+v, %v", report, err)
				}
			})
		})
	}
}

// A commit that was announced to all reaches a subtask that has ended by then, as one of its peers was cancelled first.
func TestCommitAfterTheEnd(t *testing.T) {
	inWorld(t, "", 1, func(w *world) {
		w.reader.put(records(0, 10, 11))
		w.task.Trigger(1, checkpoint.Periodic)
		w.acked(1)
		w.cancel(exchange.ErrPeerGone)
		w.endsWith(exchange.ErrPeerGone.Error())
		if rows := published(t, w.dir); rows != 0 || !w.task.Owes() {
			t.Fatalf("%d rows are published, owes %t", rows, w.task.Owes())
		}
		for range 2 {
			w.commit(1)
			if err := w.task.Settle(); err != nil {
				t.Fatal(err)
			}
			if rows := published(t, w.dir); rows != 2 {
				t.Fatalf("%d rows are published", rows)
			}
		}
		if w.task.Owes() {
			t.Error("owes more than it had")
		}
	})
}

// A commit that comes just before the job is cancelled is carried out: no later attempt will.
func TestCommitBeforeCancel(t *testing.T) {
	inWorld(t, "", 1, func(w *world) {
		w.reader.put(records(0, 10, 11))
		w.task.Trigger(1, checkpoint.Periodic)
		w.acked(1)
		w.commit(1)
		w.cancel(ErrCanceled)
		w.endsWith(ErrCanceled.Error())
		if rows := published(t, w.dir); rows != 2 {
			t.Errorf("%d rows are published", rows)
		}
	})
}
