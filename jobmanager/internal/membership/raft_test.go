package membership_test

import (
	"fmt"
	"slices"
	"testing"

	"pencere/jobmanager/internal/membership"

	"pgregory.net/rapid"
)

// node is a Raft node, as far as its votes and its log go.
type node struct {
	term     uint64
	votedFor string
	log      []uint64 // the term of each entry
	leads    bool
	match    map[int]int // of a leader: how much of its log each has acknowledged

	joining bool              // its disk was lost
	floor   *membership.Floor // nil until it has asked
}

func end(log []uint64) membership.Position {
	if len(log) == 0 {
		return membership.Position{}
	}
	return membership.Position{Term: log[len(log)-1], Index: uint64(len(log))}
}

// sees brings a node to a newer term.
func (n *node) sees(term uint64) {
	if term > n.term {
		n.term, n.votedFor, n.leads = term, "", false
	}
}

// caughtUp ends a node's time as one that lost its disk. In the floor's term it counts as having voted.
func (n *node) caughtUp() {
	if n.joining && n.floor != nil && !end(n.log).Before(n.floor.Last) {
		if n.term == n.floor.Term && n.votedFor == "" {
			n.votedFor = "somebody"
		}
		if n.term >= n.floor.Term {
			n.joining, n.floor = false, nil
		}
	}
}

type cluster struct {
	t         *rapid.T
	ids       []string
	nodes     []*node
	committed []uint64
}

func (c *cluster) some(what string) []int {
	return rapid.SliceOfDistinct(rapid.IntRange(0, len(c.nodes)-1), rapid.ID).Draw(c.t, what)
}

func (c *cluster) one() int { return rapid.IntRange(0, len(c.nodes)-1).Draw(c.t, "node") }

// elect has a node ask some others for their votes.
func (c *cluster) elect(i int) {
	n := c.nodes[i]
	if n.joining {
		return
	}
	n.sees(n.term + 1)
	n.votedFor = c.ids[i]
	votes := 1
	for _, k := range c.some("voters") {
		v := c.nodes[k]
		if k == i || v.joining && (v.floor == nil || !v.floor.AdmitsVote(n.term, end(n.log))) {
			continue
		}
		v.sees(n.term)
		if v.term == n.term && v.votedFor == "" && !end(n.log).Before(end(v.log)) {
			v.votedFor = c.ids[i]
			votes++
		}
	}
	if votes <= len(c.nodes)/2 {
		return
	}
	if len(n.log) < len(c.committed) || !slices.Equal(n.log[:len(c.committed)], c.committed) {
		c.t.Fatalf("%s leads term %d with %v; %v was committed", c.ids[i], n.term, n.log, c.committed)
	}
	for k, other := range c.nodes {
		if k != i && other.leads && other.term == n.term {
			c.t.Fatalf("%s and %s lead term %d", c.ids[i], c.ids[k], n.term)
		}
	}
	n.leads, n.match = true, make(map[int]int)
}

// replicate has a leader append, or not, and send its log to some others.
func (c *cluster) replicate(i int) {
	n := c.nodes[i]
	if !n.leads {
		return
	}
	if rapid.Bool().Draw(c.t, "append") {
		n.log = append(slices.Clone(n.log), n.term)
	}
	for _, k := range c.some("followers") {
		f := c.nodes[k]
		if k == i || f.term > n.term || f.joining && (f.floor == nil || !f.floor.AdmitsLeader(n.term)) {
			continue
		}
		f.sees(n.term)
		sent := rapid.IntRange(0, len(n.log)).Draw(c.t, "entries")
		if len(f.log) < sent || !slices.Equal(f.log[:sent], n.log[:sent]) {
			f.log = slices.Clone(n.log[:sent])
		}
		f.caughtUp()
		n.match[k] = max(n.match[k], sent) // what was acknowledged once counts
	}
	for upTo := len(n.log); upTo > len(c.committed); upTo-- {
		have := 1
		for _, m := range n.match {
			if m >= upTo {
				have++
			}
		}
		if have > len(c.nodes)/2 && n.log[upTo-1] == n.term {
			if !slices.Equal(n.log[:len(c.committed)], c.committed) {
				c.t.Fatalf("%s commits %v; %v was committed", c.ids[i], n.log[:upTo], c.committed)
			}
			c.committed = slices.Clone(n.log[:upTo])
			break
		}
	}
}

// ask has a node without a disk ask some others.
func (c *cluster) ask(i int) {
	n := c.nodes[i]
	if !n.joining || n.floor != nil {
		return
	}
	var answers []membership.Answer
	for _, k := range c.some("answers") {
		if a := c.nodes[k]; k != i {
			answers = append(answers, membership.Answer{ID: c.ids[k], Joining: a.joining, Term: a.term, Leads: a.leads, Last: end(a.log), Voters: c.ids})
		}
	}
	d := membership.Decide(c.ids[i], end(n.log), c.ids, answers)
	if d.Found {
		c.t.Fatalf("%s begins a second cluster", c.ids[i])
	}
	if d.Follow {
		n.floor = &d.Floor
		n.caughtUp()
	}
}

// Whoever loses its disk, and whenever: no committed entry is lost, and no term has two leaders.
func TestNothingIsLostWithADisk(t *testing.T) {
	for range 200 { // what goes wrong does so in one history of thousands
		rapid.Check(t, history)
	}
}

func history(t *rapid.T) {
	c := &cluster{t: t}
	for i := range rapid.SampledFrom([]int{2, 3, 5}).Draw(t, "nodes") {
		c.ids = append(c.ids, fmt.Sprintf("jm%d", i+1))
		c.nodes = append(c.nodes, &node{log: []uint64{1}, term: 1})
	}
	c.committed = []uint64{1}
	step := func(run func(int)) func(*rapid.T) { return func(t *rapid.T) { c.t = t; run(c.one()) } }
	t.Repeat(map[string]func(*rapid.T){
		"elect":      step(c.elect),
		"replicate":  step(c.replicate),
		"replicate2": step(c.replicate),
		"ask":        step(c.ask),
		"restart":    step(func(i int) { c.nodes[i].leads, c.nodes[i].floor = false, nil }),
		"lose": step(func(i int) {
			whole := 0
			for k, n := range c.nodes {
				if k != i && !n.joining {
					whole++
				}
			}
			if whole > 0 { // else nobody could know
				c.nodes[i] = &node{joining: true}
			}
		}),
	})
}
