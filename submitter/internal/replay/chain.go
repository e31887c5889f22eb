package replay

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"pencere/pkg/manifest"
)

// chain is what a job has written, with all that goes on from its end in the same directory.
type chain struct {
	jobs   []string // ids
	name   string
	ended  bool
	ranges []manifest.OffsetRange // in the order of partitions, one each
	files  []manifest.File
	spec   manifest.Hash
}

// readChains reads the manifest of a directory that was verified. What an unfinished job's newest checkpoint has not published yet is left
// out, with the whole of that checkpoint.
func readChains(fsys fs.FS) ([]chain, error) {
	names, err := fs.Glob(fsys, path.Join(manifest.Dir, "*.json"))
	if err != nil {
		return nil, err
	}
	jobs := map[string][]manifest.Entry{}
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		entry, err := manifest.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		jobs[entry.Checkpoint.Job] = append(jobs[entry.Checkpoint.Job], entry)
	}
	var chains []chain
	for id, entries := range jobs {
		c, err := newChain(fsys, id, entries)
		if err != nil {
			return nil, err
		}
		chains = append(chains, c)
	}
	slices.SortFunc(chains, func(a, b chain) int { return strings.Compare(a.jobs[0], b.jobs[0]) })
	return joined(chains), nil
}

func newChain(fsys fs.FS, id string, entries []manifest.Entry) (chain, error) {
	slices.SortFunc(entries, func(a, b manifest.Entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	c := chain{jobs: []string{id}, name: entries[0].Checkpoint.JobName, spec: entries[0].Checkpoint.Spec}
	published, err := publishedEntries(fsys, entries)
	if err != nil {
		return chain{}, err
	}
	for i, e := range published {
		c.ended = c.ended || e.Kind == manifest.KindEnd
		if e.File != nil {
			c.files = append(c.files, *e.File)
		}
		if i == 0 || published[i-1].Checkpoint.ID != e.Checkpoint.ID || e.Kind == manifest.KindEnd {
			c.extend(e.Checkpoint.Offsets)
		}
	}
	return c, nil
}

// publishedEntries leaves out the newest checkpoint if a file of it is missing.
func publishedEntries(fsys fs.FS, entries []manifest.Entry) ([]manifest.Entry, error) {
	for i, e := range entries {
		if e.File == nil {
			continue
		}
		_, err := fs.Stat(fsys, e.File.Name)
		if errors.Is(err, fs.ErrNotExist) {
			first := slices.IndexFunc(entries[:i+1], func(of manifest.Entry) bool { return of.Checkpoint.ID == e.Checkpoint.ID })
			return entries[:first], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// extend adds ranges that go on where the chain is.
func (c *chain) extend(ranges []manifest.OffsetRange) {
	for _, r := range ranges {
		i := slices.IndexFunc(c.ranges, func(known manifest.OffsetRange) bool {
			return known.Topic == r.Topic && known.Partition == r.Partition
		})
		if i < 0 {
			c.ranges = append(c.ranges, r)
		} else {
			c.ranges[i].From, c.ranges[i].To = min(c.ranges[i].From, r.From), max(c.ranges[i].To, r.To)
		}
	}
}

// joined makes one chain of those that go on from each other's end, as a job does that was started from a savepoint of another.
func joined(chains []chain) []chain {
	for i := range chains {
		for j := range chains {
			if i == j || !chains[i].leadsTo(chains[j]) {
				continue
			}
			first, next := chains[i], chains[j]
			first.jobs = append(slices.Clone(first.jobs), next.jobs...)
			first.files = append(slices.Clone(first.files), next.files...)
			first.ended = next.ended
			first.extend(next.ranges)
			rest := slices.Clone(chains)
			rest[i] = first
			return joined(slices.Delete(rest, j, j+1))
		}
	}
	return chains
}

func (c chain) leadsTo(next chain) bool {
	if !c.ended || c.name != next.name || len(next.ranges) == 0 {
		return false
	}
	return !slices.ContainsFunc(next.ranges, func(r manifest.OffsetRange) bool {
		return !slices.ContainsFunc(c.ranges, func(before manifest.OffsetRange) bool {
			return before.Topic == r.Topic && before.Partition == r.Partition && before.To == r.From
		})
	})
}

// fired returns the end of the last window that the files have rows of, in ms on the wall clock. ok is false if they have none.
func (c chain) fired() (until int64, ok bool) {
	until = math.MinInt64
	for _, f := range c.files {
		if f.Window != nil {
			until, ok = max(until, f.Window.End), true
		}
	}
	return until, ok
}
