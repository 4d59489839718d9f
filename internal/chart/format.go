package chart

import "strconv"

// Percent prints a share with one decimal; 100.0 only where it is all. An
// interval's end is 1 only up to rounding.
func Percent(share float64) string {
	const all = 1 - 1e-12
	if share < all && share >= 0.9995 {
		return "99.9"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64)
}

// Grouped prints a count as 1,234,567.
func Grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
