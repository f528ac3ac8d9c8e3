package report

import (
	"cmp"
	"slices"
)

// median returns the middle value, the lower of two; zero for none.
func median[T cmp.Ordered](all []T) T {
	var zero T
	if len(all) == 0 {
		return zero
	}
	all = slices.Sorted(slices.Values(all))
	return all[(len(all)-1)/2]
}
