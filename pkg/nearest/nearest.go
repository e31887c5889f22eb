// Package nearest finds the name that a misspelt one was probably meant to be. It is pure.
package nearest

import (
	"strings"
	"unicode/utf8"
)

// maxLength bounds, in characters, the names that are compared: the work is quadratic in it.
const maxLength = 128

// Name returns the candidate that is fewest edits away from name, the earlier one of two that are as near, and ""
// if none is near: a third of the characters may be wrong, at least one. Case is not an edit.
func Name(name string, candidates []string) string {
	if utf8.RuneCountInString(name) > maxLength {
		return ""
	}
	folded := strings.ToLower(name)
	best, bestDistance := "", max(1, utf8.RuneCountInString(name)/3)+1
	for _, candidate := range candidates {
		if candidate == name || utf8.RuneCountInString(candidate) > maxLength {
			continue
		}
		if d := Distance(folded, strings.ToLower(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// Distance returns the number of characters to insert, delete, replace or swap with their neighbour that makes b
// of a (the optimal string alignment distance).
func Distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	beforePrevious, previous, current := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(from); i++ {
		current[0] = i
		for j := 1; j <= len(to); j++ {
			replaced := previous[j-1]
			if from[i-1] != to[j-1] {
				replaced++
			}
			current[j] = min(previous[j]+1, current[j-1]+1, replaced)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				current[j] = min(current[j], beforePrevious[j-2]+1)
			}
		}
		beforePrevious, previous, current = previous, current, beforePrevious
	}
	return previous[len(to)]
}
