package membership_test

import (
	"testing"

	"pencere/jobmanager/internal/membership"

	"github.com/google/go-cmp/cmp"
)

var three = []string{"jm1", "jm2", "jm3"}

// has is a node with a disk.
func has(id string, term, last uint64, voters ...string) membership.Answer {
	return membership.Answer{ID: id, Term: term, Last: membership.Position{Term: term, Index: last}, Voters: voters}
}

func leader(a membership.Answer) membership.Answer {
	a.Leads = true
	return a
}

// fresh is a node with nothing.
func fresh(id string) membership.Answer { return membership.Answer{ID: id, Joining: true} }

func follow(term, last uint64) membership.Decision {
	return membership.Decision{Follow: true, Floor: membership.Floor{Term: term, Last: membership.Position{Term: term, Index: last}}}
}

func wait(what string) membership.Decision { return membership.Decision{Wait: what} }

func TestDecide(t *testing.T) {
	five := []string{"jm1", "jm2", "jm3", "jm4", "jm5"}
	halfway := fresh("jm3")
	halfway.Last, halfway.Voters = membership.Position{Term: 1, Index: 4}, three
	for name, test := range map[string]struct {
		self    string
		own     membership.Position
		answers []membership.Answer
		want    membership.Decision
	}{
		"nobody answers":              {"jm1", membership.Position{}, nil, wait("its disk is empty, and before a new cluster begins all must have answered: jm2, jm3 did not")},
		"one is silent":               {"jm1", membership.Position{}, []membership.Answer{fresh("jm3")}, wait("its disk is empty, and before a new cluster begins all must have answered: jm2 did not")},
		"all have nothing":            {"jm1", membership.Position{}, []membership.Answer{fresh("jm3"), fresh("jm2")}, membership.Decision{Found: true}},
		"all have nothing, not first": {"jm2", membership.Position{}, []membership.Answer{fresh("jm3"), fresh("jm1")}, wait("a new cluster begins with jm1")},
		"another lost its disk too":   {"jm1", membership.Position{}, []membership.Answer{fresh("jm2"), halfway}, wait("no disk is whole; those of jm3 lack what the others had")},
		"half of it is here": {"jm1", membership.Position{Term: 1, Index: 2}, []membership.Answer{fresh("jm2"), fresh("jm3")},
			wait("no disk is whole; those of jm1 lack what the others had")},
		"just being begun":   {"jm2", membership.Position{}, []membership.Answer{fresh("jm3"), has("jm1", 1, 1)}, wait("a new cluster begins with jm1")},
		"begun by the first": {"jm2", membership.Position{}, []membership.Answer{fresh("jm3"), leader(has("jm1", 2, 3, "jm1"))}, follow(2, 3)},
		"one of two others":  {"jm2", membership.Position{}, []membership.Answer{leader(has("jm1", 2, 9, three...))}, wait("its disk is empty, and what it knew jm3 must say: no answer from a disk that is whole")},
		"both others":        {"jm2", membership.Position{}, []membership.Answer{has("jm1", 2, 9, three...), has("jm3", 2, 11, three...)}, follow(2, 11)},
		"both, one empty": {"jm2", membership.Position{}, []membership.Answer{leader(has("jm1", 2, 9, three...)), halfway},
			wait("its disk is empty, and what it knew jm3 must say: no answer from a disk that is whole")},
		"three of five with their leader": {"jm5", membership.Position{},
			[]membership.Answer{leader(has("jm1", 7, 9, five...)), has("jm2", 6, 12, five...), has("jm3", 7, 8, five...)}, follow(7, 9)},
		"three of five without one": {"jm5", membership.Position{},
			[]membership.Answer{has("jm1", 7, 9, five...), has("jm2", 6, 12, five...), has("jm3", 7, 8, five...)},
			wait("its disk is empty, and what it knew jm4 must say: no answer from a disk that is whole")},
		"a leader of an older term does not count": {"jm5", membership.Position{},
			[]membership.Answer{has("jm1", 7, 9, five...), leader(has("jm2", 6, 12, five...)), has("jm3", 7, 8, five...)},
			wait("its disk is empty, and what it knew jm4 must say: no answer from a disk that is whole")},
		"the other of two": {"jm2", membership.Position{}, []membership.Answer{has("jm1", 3, 5, "jm1", "jm2")}, follow(3, 5)},
		"no voter":         {"jm4", membership.Position{}, []membership.Answer{leader(has("jm1", 3, 5, three...)), has("jm2", 3, 5, three...)}, follow(3, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			got := membership.Decide(test.self, test.own, three, test.answers)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRecover(t *testing.T) {
	five := []string{"jm1", "jm2", "jm3", "jm4", "jm5"}
	for name, test := range map[string]struct {
		self    string
		voters  []string
		answers []membership.Answer
		want    string
	}{
		"nobody is left":            {"jm1", three, nil, ""},
		"others have empty disks":   {"jm1", three, []membership.Answer{fresh("jm2"), fresh("jm3")}, ""},
		"a stranger is there":       {"jm1", three, []membership.Answer{has("jm9", 9, 9, "jm9")}, ""},
		"another one has its disk":  {"jm1", three, []membership.Answer{has("jm2", 3, 5, three...)}, "the disks of jm1, jm2 are most of those of jm1, jm2, jm3: started, they go on by themselves"},
		"two of five, as far":       {"jm1", five, []membership.Answer{has("jm2", 3, 7, five...)}, ""},
		"two of five, further":      {"jm1", five, []membership.Answer{has("jm2", 3, 8, five...)}, "the disk of jm2 holds more than that of jm1: let jm2 go on"},
		"two of five, less far":     {"jm1", five, []membership.Answer{has("jm2", 2, 99, five...)}, ""},
		"alone already":             {"jm1", []string{"jm1"}, nil, "the disks of jm1 are most of those of jm1: started, they go on by themselves"},
		"it had been removed":       {"jm4", three, nil, "jm4 is no voter in what its disk holds"},
		"two, and one of them gone": {"jm2", []string{"jm1", "jm2"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := membership.Recover(test.self, membership.Position{Term: 3, Index: 7}, test.voters, test.answers); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFloor(t *testing.T) {
	f := membership.Floor{Term: 5, Last: membership.Position{Term: 4, Index: 10}}
	for _, test := range []struct {
		term uint64
		last membership.Position
		vote bool
	}{
		{5, membership.Position{Term: 5, Index: 20}, false}, // it may have voted in this term
		{6, membership.Position{Term: 4, Index: 9}, false},
		{6, membership.Position{Term: 3, Index: 99}, false},
		{6, membership.Position{Term: 4, Index: 10}, true},
		{6, membership.Position{Term: 5, Index: 1}, true},
	} {
		if got := f.AdmitsVote(test.term, test.last); got != test.vote {
			t.Errorf("term %d, log to %v: %t", test.term, test.last, got)
		}
	}
	if f.AdmitsLeader(4) || !f.AdmitsLeader(5) {
		t.Error("a leader of the floor's term is admitted, none before it")
	}
}
