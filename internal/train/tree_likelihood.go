package train

import "math"

// logTable holds L_{1/k}(n) for k = 1..16 and n up to the number of packets: [k][n].
type logTable [digitValues + 1][]float64

// newLogTable tabulates L_{1/k}(n) = sum over s = 0..n-1 of ln(1/k + s) for n <= packets.
func newLogTable(packets int) (t logTable) {
	for k := 1; k < len(t); k++ {
		t[k] = make([]float64, packets+1)
		for n := range packets {
			t[k][n+1] = t[k][n] + math.Log(1/float64(k)+float64(n))
		}
	}
	return t
}

// rising returns L_{1/k}(n): the logarithm of the rising factorial of 1/k.
func (t *logTable) rising(k int, n uint32) float64 {
	if k < len(t) {
		return t[k][n]
	}
	a := 1 / float64(k)
	top, _ := math.Lgamma(a + float64(n))
	bottom, _ := math.Lgamma(a)
	return top - bottom
}

// likelihood returns ML of a node with these counts, m in all, of which k values were possible:
// sum over t of L_{1/k}(n_t) - L_1(m).
func (t *logTable) likelihood(counts []uint32, k, m int) float64 {
	sum := -t[1][m]
	for _, n := range counts {
		if n > 0 {
			sum += t.rising(k, n)
		}
	}
	return sum
}

// splitLikelihood returns the sum of ML over the children that a split makes, and how many there are;
// joint[code*16+value] counts the packets whose target has that code and whose feature has that
// value. The children share their parent's k.
func (t *logTable) splitLikelihood(joint []uint32, k int) (sum float64, children int) {
	var sizes [digitValues]uint32
	for code := range k {
		for v, n := range joint[code*digitValues : (code+1)*digitValues] {
			if n > 0 {
				sum += t.rising(k, n)
				sizes[v] += n
			}
		}
	}
	for _, m := range sizes {
		if m > 0 {
			sum -= t[1][m]
			children++
		}
	}
	return sum, children
}
