package train

import (
	"math"
	"slices"
)

// scorer computes marginal likelihoods; see FitTrees.
type scorer struct {
	k      int
	rising []float64 // [n] L_{1/k}(n)
	whole  []float64 // [m] L_1(m)
	digits [digitValues + 1][]float64
}

func newScorer() scorer { return scorer{whole: []float64{0}} }

// reset prepares for nodes of up to m packets and k values.
func (s *scorer) reset(k, m int) {
	s.k = k
	s.whole = extendRising(s.whole, 1, m)
	if k < len(s.digits) {
		s.digits[k] = extendRising(s.digits[k], k, m)
		s.rising = s.digits[k]
		return
	}
	s.rising = extendRising(nil, k, m)
}

// extendRising continues a table of L_{1/k}(n) = sum over s = 0..n-1 of ln(1/k + s) to n = m.
func extendRising(t []float64, k, m int) []float64 {
	if len(t) == 0 {
		t = append(t, 0)
	}
	for n := len(t); n <= m; n++ {
		t = append(t, t[n-1]+math.Log(1/float64(k)+float64(n-1)))
	}
	return t
}

// likelihood returns ML of a node of m packets with these counts.
func (s *scorer) likelihood(counts []uint32, m int) float64 {
	sum := -s.whole[m]
	for _, n := range counts {
		sum += s.rising[n]
	}
	return sum
}

// evenLikelihood is the logarithm of the probability of a node of m packets whose values are equally likely.
func (s *scorer) evenLikelihood(m int) float64 { return -float64(m) * math.Log(float64(s.k)) }

// even makes the counts of a node of m packets equal where that is at least as likely as ML: the differences between
// random numbers' counts are noise, which a generator should not learn.
func (s *scorer) even(counts []uint32, m int) {
	if s.evenLikelihood(m) < s.likelihood(counts, m) {
		return
	}
	for i := range counts {
		counts[i] = 1
	}
}

// evenText is even for a text's counts, whose sum may be too large to tabulate.
func evenText(counts []uint32) {
	k, m := float64(len(counts)), 0.0
	bottom, _ := math.Lgamma(1 / k)
	own := 0.0
	for _, n := range counts {
		top, _ := math.Lgamma(1/k + float64(n))
		own += top - bottom
		m += float64(n)
	}
	whole, _ := math.Lgamma(m + 1)
	if -m*math.Log(k) < own-whole {
		return
	}
	for i := range counts {
		counts[i] = 1
	}
}

// pairCounter counts how often packets have each pair of target's number and variable's code: where growing trees
// spends its time.
type pairCounter struct {
	joint []uint32 // [code*k + number]: all 0 between uses
	keys  []uint32 // code<<16 | number, where a table would be larger than the packets
}

func newPairCounter() pairCounter { return pairCounter{joint: make([]uint32, 0)} }

// split returns the sum of ML over the children that splitting the rows on v makes, and how many there are. number
// is that of each of the target's codes.
func (c *pairCounter) split(s *scorer, number, target []uint16, v *variable, rows []int32, k int) (sum float64, children int) {
	arity := v.arity
	if v.cut {
		arity++ // absent
	}
	if arity*k > 4*len(rows)+digitValues*digitValues {
		return c.splitSparse(s, number, target, v, rows)
	}
	if len(c.joint) < arity*k {
		c.joint = make([]uint32, arity*k)
	}
	joint := c.joint[:arity*k]
	for _, r := range rows {
		joint[int(v.codes[r])*k+int(number[target[r]])]++
	}
	for ; len(joint) > 0; joint = joint[k:] {
		m := uint32(0)
		for i, n := range joint[:k] {
			if n > 0 {
				sum += s.rising[n]
				m += n
				joint[i] = 0
			}
		}
		if m > 0 {
			sum -= s.whole[m]
			children++
		}
	}
	return sum, children
}

func (c *pairCounter) splitSparse(s *scorer, number, target []uint16, v *variable, rows []int32) (sum float64, children int) {
	c.keys = c.keys[:0]
	for _, r := range rows {
		c.keys = append(c.keys, uint32(v.codes[r])<<16|uint32(number[target[r]]))
	}
	slices.Sort(c.keys)
	for i := 0; i < len(c.keys); {
		child, m := c.keys[i]>>16, i
		for i < len(c.keys) && c.keys[i]>>16 == child {
			same := i + 1
			for same < len(c.keys) && c.keys[same] == c.keys[i] {
				same++
			}
			sum += s.rising[same-i]
			i = same
		}
		sum -= s.whole[i-m]
		children++
	}
	return sum, children
}
