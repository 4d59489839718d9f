// Package wilson gives the interval of a proportion that was counted.
package wilson

import "math"

// z95 is the standard normal distribution's 0.975 quantile.
const z95 = 1.959963984540054

// Interval is the 95 % score interval of hits among n trials: E. B. Wilson,
// JASA 22 (1927), the roots of (p - x)^2 = z^2 x (1 - x) / n. Without trials
// it is all that a proportion can be: 0 to 1. It is never NaN.
func Interval(hits, n uint64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z2 = z95 * z95
	trials := float64(n)
	p := float64(hits) / trials
	centre := (p + z2/(2*trials)) / (1 + z2/trials)
	half := z95 / (1 + z2/trials) * math.Sqrt(p*(1-p)/trials+z2/(4*trials*trials))
	return max(0, centre-half), min(1, centre+half)
}
