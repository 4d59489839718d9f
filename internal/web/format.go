package web

import (
	"fmt"
	"strconv"
	"time"
)

const day = 24 * time.Hour

// percent prints a share with one decimal; 100.0 only where it is all. An
// interval's end is 1 only up to rounding.
func percent(share float64) string {
	const all = 1 - 1e-12
	if share < all && share >= 0.9995 {
		return "99.9"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64)
}

// grouped prints a count as 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ago prints a time that passed in its two largest units.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
}

// brief prints a round time in one unit.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d <= day:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/day)
}

// rtt prints a round-trip time.
func rtt(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
