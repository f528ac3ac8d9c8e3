package config

import (
	"fmt"
	"math"
	"strings"
)

// suggest returns a hint for a word that is none of known: the one that was
// probably meant, or all of them.
func suggest(word string, known []string) string {
	if best := nearest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "expected " + oneOf(known)
}

// oneOf lists the words for a sentence: "a, b or c".
func oneOf(known []string) string {
	if n := len(known); n > 1 {
		return strings.Join(known[:n-1], ", ") + " or " + known[n-1]
	}
	return strings.Join(known, "")
}

// Nearest returns the one of known that word is a misspelling of, or "": for
// names of other things than keys and values.
func Nearest(word string, known []string) string { return nearest(word, known) }

// nearest returns the one of known that word is a misspelling of, or "". A
// third of the letters may differ, letter case apart, or one be the beginning
// of the other.
func nearest(word string, known []string) string {
	const shortest = 3 // of a beginning that may stand for the whole
	best, least := "", math.MaxInt
	lower := strings.ToLower(word)
	for _, k := range known {
		lk := strings.ToLower(k)
		d := distance(lower, lk)
		limit := (min(len(lower), len(lk)) + 2) / 3
		if min(len(lower), len(lk)) >= shortest && (strings.HasPrefix(lk, lower) || strings.HasPrefix(lower, lk)) {
			limit = d
		}
		if d <= limit && d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to make b of a. What is far longer than any word of ours
// is not looked at.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return max(len(a), len(b))
	}
	var before, last, row [longest + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
