// Package membership decides when a jobmanager with an empty disk may take part in Raft.
//
// Such a node may have been a voter before it lost its disk. What it had acknowledged then it does not hold now, and how it had voted
// it does not know: if it went on as a voter at once, a committed entry could be lost, or a term could have two leaders. So it first
// asks the others how far they are, and until its own log is as far it votes for nobody whose log is not, and stands for no election.
// (Raft's own paper has no rule for this; it is the recovery of Viewstamped Replication Revisited, §4.3, in Raft's terms.)
package membership

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is that of an entry in a log. The zero value is before the first.
type Position struct{ Term, Index uint64 }

// Before reports whether a log that ends here is less up to date than one that ends there, in Raft's order (§5.4.1 of its paper).
func (p Position) Before(q Position) bool {
	return cmp.Or(cmp.Compare(p.Term, q.Term), cmp.Compare(p.Index, q.Index)) < 0
}

// Answer is what a node says of itself.
type Answer struct {
	ID string
	// Joining is said by a node whose own disk was empty and that has not caught up yet.
	Joining bool
	Term    uint64
	Leads   bool
	Last    Position // of its newest entry
	Voters  []string // of the newest configuration in its log
}

// Floor is what a node that lost its disk must assume to have promised.
type Floor struct {
	Term uint64   // it has seen this term, and has voted in it
	Last Position // its log was no further than this
}

// AdmitsLeader reports whether entries from a leader of a term may be taken.
func (f Floor) AdmitsLeader(term uint64) bool { return term >= f.Term }

// AdmitsVote reports whether a candidate may be voted for.
func (f Floor) AdmitsVote(term uint64, last Position) bool {
	return term > f.Term && !last.Before(f.Last)
}

// Decision says how a node with an empty disk goes on.
type Decision struct {
	// Found says that there is no cluster yet and that this node begins it, alone; the others then join.
	Found bool
	// Follow says that the node may take part, above Floor.
	Follow bool
	Floor  Floor
	// Wait says what is missing, "" when nothing is.
	Wait string
}

// Decide takes the ends of the node's own log, the ids of all jobmanagers that it was told of, and what others have answered.
//
// A cluster is begun only when all others have answered that they have nothing, and by the first of them in the order of their ids.
//
// Otherwise those must have answered without whom nothing that this node had acknowledged can have been committed: all other voters, or
// more than half of the voters, not counting this one, with a leader of the newest term among them. (A leader counts what it was once
// acknowledged for as long as it leads. Without it, an entry that it alone still holds could be committed after the others were asked.)
func Decide(self string, own Position, peers []string, answers []Answer) Decision {
	var voters []Answer // who may know
	for _, a := range answers {
		if !a.Joining && len(a.Voters) > 0 {
			voters = append(voters, a)
		}
	}
	if len(voters) == 0 {
		return found(self, own, peers, answers)
	}
	newest := slices.MaxFunc(voters, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(a.Term, b.Term), compareBool(a.Leads, b.Leads), a.Last.compare(b.Last))
	})
	members := newest.Voters
	if !newest.Leads {
		members = slices.MaxFunc(voters, func(a, b Answer) int { return a.Last.compare(b.Last) }).Voters
	}
	var missing []string
	present, floor := 0, Floor{Term: newest.Term}
	for _, id := range members {
		if id == self {
			continue
		}
		i := slices.IndexFunc(voters, func(a Answer) bool { return a.ID == id })
		if i < 0 {
			missing = append(missing, id)
			continue
		}
		present++
		if floor.Last.Before(voters[i].Last) {
			floor.Last = voters[i].Last
		}
	}
	quorum := len(members)/2 + 1
	leads := newest.Leads && slices.Contains(members, newest.ID)
	if len(missing) == 0 || leads && present >= quorum {
		return Decision{Follow: true, Floor: floor}
	}
	slices.Sort(missing)
	return Decision{Wait: fmt.Sprintf("its disk is empty, and what it knew %s must say: no answer from a disk that is whole", strings.Join(missing, ", "))}
}

func found(self string, own Position, peers []string, answers []Answer) Decision {
	var silent, more, begun []string
	for _, id := range peers {
		if id == self {
			continue
		}
		i := slices.IndexFunc(answers, func(a Answer) bool { return a.ID == id })
		switch {
		case i < 0:
			silent = append(silent, id)
		case !answers[i].Joining:
			begun = append(begun, id)
		case answers[i].Last != Position{}:
			more = append(more, id)
		}
	}
	slices.Sort(silent)
	slices.Sort(more)
	first := slices.Min(append(slices.Clone(peers), self))
	switch {
	case len(begun) > 0: // its disk is whole, and has no members: it is about to write them
		return Decision{Wait: "a new cluster begins with " + slices.Min(begun)}
	case len(more) > 0 || own != Position{}:
		if own != (Position{}) {
			more = append(more, self)
		}
		return Decision{Wait: fmt.Sprintf("no disk is whole; those of %s lack what the others had", strings.Join(more, ", "))}
	case len(silent) > 0:
		return Decision{Wait: fmt.Sprintf("its disk is empty, and before a new cluster begins all must have answered: %s did not", strings.Join(silent, ", "))}
	case self != first:
		return Decision{Wait: "a new cluster begins with " + first}
	default:
		return Decision{Found: true}
	}
}

// Recover decides whether a node may go on alone with what its disk holds, because the others are lost for good. voters are those of the
// newest configuration in its log, which ends at own. The reason why it may not is "" if it may.
//
// Entries that only the lost ones had are lost by that. It must not be done while the others can still decide, nor by a node that knows
// less than another one.
func Recover(self string, own Position, voters []string, answers []Answer) (reason string) {
	whole := []string{self}
	newest := Answer{ID: self, Last: own}
	for _, a := range answers {
		if a.Joining || !slices.Contains(voters, a.ID) {
			continue
		}
		whole = append(whole, a.ID)
		if newest.Last.Before(a.Last) {
			newest = a
		}
	}
	slices.Sort(whole)
	switch {
	case !slices.Contains(voters, self):
		return fmt.Sprintf("%s is no voter in what its disk holds", self)
	case len(whole) > len(voters)/2:
		return fmt.Sprintf("the disks of %s are most of those of %s: started, they go on by themselves", strings.Join(whole, ", "), strings.Join(voters, ", "))
	case newest.ID != self:
		return fmt.Sprintf("the disk of %s holds more than that of %s: let %[1]s go on", newest.ID, self)
	default:
		return ""
	}
}

func (p Position) compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Term, q.Term), cmp.Compare(p.Index, q.Index))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
