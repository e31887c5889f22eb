package rowkey

import "github.com/zeebo/xxh3"

// Hash returns the XXH3 64-bit hash (seed 0) of a key. It decides where a group's state lives and is the same in every version.
func Hash(key []byte) uint64 { return xxh3.Hash(key) }

// KeyGroup returns the key group of a hash: 0 to maxParallelism-1. Key groups are what keyed state is moved by
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/concepts/glossary/#key-group).
func KeyGroup(hash uint64, maxParallelism int) int { return int(hash % uint64(maxParallelism)) }

// Subtask returns the index of the subtask that owns a key group, by Flink's formula, which gives each of parallelism subtasks
// a contiguous range. parallelism is at most maxParallelism.
func Subtask(keyGroup, parallelism, maxParallelism int) int {
	return keyGroup * parallelism / maxParallelism
}

// Range returns the key groups that a subtask owns: first to last, both included.
func Range(subtask, parallelism, maxParallelism int) (first, last int) {
	first = (subtask*maxParallelism + parallelism - 1) / parallelism
	last = ((subtask+1)*maxParallelism - 1) / parallelism
	return first, last
}
