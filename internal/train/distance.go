package train

import (
	"math"
	"math/rand/v2"
)

// judge measures how far generated packets are from validation packets, label by label: the mean Jensen-Shannon
// distance (base 2, 0 equal to 1 disjoint) of the packets' lengths, of each digit that varies, and of pairs of such
// digits: neighbours, and as many random ones. Single digits alone would not see a host name
// joined to another's address. The pairs are the same for every checkpoint, and so is the noise that generated packets
// are drawn with, so that checkpoints differ by their generators alone.
//
// It is no two-sample test and has a floor above 0 that falls with the number of packets; Floor says where it lies.
type judge struct {
	real     [][][]byte // [label][packet]
	features [][]feature
}

// feature is a pair of digits' places; a single digit is paired with itself, and length stands for the length.
type feature struct{ i, j int }

// length is a feature's i and j when the packet's length is meant.
const length = -1

// mostPairs bounds the pairs of a label of each kind, and so the time that judging takes.
const mostPairs = 150

func newJudge(real [][][]byte, seed uint64) *judge {
	j := &judge{real: real}
	for label, packets := range real {
		j.features = append(j.features, featuresOf(packets, rand.New(rand.NewPCG(seed, 1<<33|uint64(label)))))
	}
	return j
}

// featuresOf returns what varies in packets.
func featuresOf(packets [][]byte, rng *rand.Rand) []feature {
	var free []int
	longest := 0
	for _, p := range packets {
		longest = max(longest, len(p))
	}
	for i := range 2 * longest {
		for _, p := range packets {
			if digit(p, i) != digit(packets[0], i) {
				free = append(free, i)
				break
			}
		}
	}
	features := []feature{{length, length}}
	for _, i := range free {
		features = append(features, feature{i, i})
	}
	for k := 1; k < min(len(free), mostPairs); k++ {
		features = append(features, feature{free[k-1], free[k]})
	}
	if len(free) > 1 {
		for range min(len(free), mostPairs) {
			features = append(features, feature{free[rng.IntN(len(free))], free[rng.IntN(len(free))]})
		}
	}
	return features
}

// distance returns the mean over a label's features.
func (j *judge) distance(label int, generated [][]byte) float64 {
	sum := 0.0
	for _, f := range j.features[label] {
		sum += jensenShannon(f.histogram(j.real[label]), f.histogram(generated))
	}
	return sum / float64(len(j.features[label]))
}

// histogram counts a feature's values; slices, since a map's order would let equal runs differ in the last bit.
func (f feature) histogram(packets [][]byte) []float64 {
	var h []float64
	for _, p := range packets {
		v := len(p)
		if f.i != length {
			v = digit(p, f.i)*(absent+1) + digit(p, f.j)
		}
		if v >= len(h) {
			h = append(h, make([]float64, v+1-len(h))...)
		}
		h[v]++
	}
	return h
}

// absent is the value of a digit beyond a packet's end.
const absent = digitValues

// digit returns a packet's i-th hex digit, the high one of each byte first.
func digit(p []byte, i int) int {
	switch {
	case i/2 >= len(p):
		return absent
	case i%2 == 0:
		return int(p[i/2] >> 4)
	}
	return int(p[i/2] & 15)
}

// jensenShannon returns the distance of two histograms: the square root of the divergence
// sum of p/2 log2(p/m) + q/2 log2(q/m), m = (p+q)/2.
func jensenShannon(a, b []float64) float64 {
	totalA, totalB := total(a), total(b)
	if totalA == 0 || totalB == 0 {
		return 1
	}
	divergence := 0.0
	for v := range max(len(a), len(b)) {
		p, q := 0.0, 0.0
		if v < len(a) {
			p = a[v] / totalA
		}
		if v < len(b) {
			q = b[v] / totalB
		}
		m := (p + q) / 2
		if p > 0 {
			divergence += p / 2 * math.Log2(p/m)
		}
		if q > 0 {
			divergence += q / 2 * math.Log2(q/m)
		}
	}
	return math.Sqrt(max(divergence, 0))
}

func total(h []float64) float64 {
	t := 0.0
	for _, n := range h {
		t += n
	}
	return t
}
