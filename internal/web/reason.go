package web

import "slices"

// reason is one entry of a count by reason.
type reason struct {
	Name  string
	Count uint64
}

// largestFirst orders counts by size, then by name.
func largestFirst(counts map[string]uint64) []reason {
	var out []reason
	for name, n := range counts {
		if n > 0 {
			out = append(out, reason{name, n})
		}
	}
	slices.SortFunc(out, func(a, b reason) int {
		if a.Count != b.Count {
			if a.Count > b.Count {
				return -1
			}
			return 1
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}
