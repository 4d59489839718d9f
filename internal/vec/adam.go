package vec

import "math"

// AdamStep is one step of the Adam optimiser on some parameters w with gradient d, keeping the running means m of
// the gradient and v of its square:
//
//	g = d + Decay*w
//	m = Keep1*m + Take1*g
//	v = Keep2*v + Take2*g*g
//	w = w - Rate*m / (sqrt(v*Unbias2) + Epsilon)
type AdamStep struct {
	Decay, Keep1, Take1, Keep2, Take2, Rate, Unbias2, Epsilon float32
}

// Do makes the step. The four slices are disjoint.
func (s *AdamStep) Do(w, m, v, d []float32) {
	m, v, d = m[:len(w)], v[:len(w)], d[:len(w)]
	n := whole(len(w))
	if n > 0 {
		adamVector(n, s, &w[0], &m[0], &v[0], &d[0])
	}
	for i := n; i < len(w); i++ {
		g := d[i] + float32(s.Decay*w[i])
		m[i] = float32(s.Keep1*m[i]) + float32(s.Take1*g)
		v[i] = float32(s.Keep2*v[i]) + float32(s.Take2*g*g)
		w[i] -= float32(s.Rate*m[i]) / (float32(math.Sqrt(float64(float32(v[i]*s.Unbias2)))) + s.Epsilon)
	}
}
