package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// param is one trained matrix. Every graph that uses it reads this same value.
type param struct {
	name  string
	value *tensor.Dense
	decay float32 // decay*w is added to w's gradient (L2 regularisation)
}

// adam is the Adam optimiser (Kingma and Ba, 2014, algorithm 1) over plain slices, whose state is data that can be
// saved, unlike gorgonia's, and which allocates nothing a step.
type adam struct {
	rate         float32 // alpha of the next step
	beta1, beta2 float32
	threads      int

	params []*param
	state  adamState
}

// adamState is what Adam must remember to go on: for each parameter the running means of its gradient and of the
// gradient's square, and the number of steps made.
type adamState struct {
	Steps int
	M, V  [][]float32
}

// epsilon keeps Adam from dividing by zero; the paper's default.
const epsilon = 1e-8

func newAdam(params []*param, rate, beta1, beta2 float32, threads int) *adam {
	a := &adam{rate: rate, beta1: beta1, beta2: beta2, threads: threads, params: params}
	for _, p := range params {
		a.state.M = append(a.state.M, make([]float32, len(data(p.value))))
		a.state.V = append(a.state.V, make([]float32, len(data(p.value))))
	}
	return a
}

// step moves every parameter against its gradient:
//
//	g = gradient + decay w,  m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g²,  w -= rate * m/(1-b1^t) / (sqrt(v/(1-b2^t)) + epsilon)
func (a *adam) step(grads gorgonia.Nodes) error {
	if len(grads) != len(a.params) {
		return fmt.Errorf("optimise %d parameters with %d gradients", len(a.params), len(grads))
	}
	a.state.Steps++
	t := float64(a.state.Steps)
	unbias1 := float32(1 / (1 - math.Pow(float64(a.beta1), t)))
	unbias2 := float32(1 / (1 - math.Pow(float64(a.beta2), t)))
	for i, p := range a.params {
		grad, err := valueOf(grads[i])
		if err != nil {
			return fmt.Errorf("gradient of %s: %w", p.name, err)
		}
		w, m, v := data(p.value), a.state.M[i], a.state.V[i]
		if len(grad) != len(w) {
			return fmt.Errorf("gradient of %s has %d values, want %d", p.name, len(grad), len(w))
		}
		parallel(a.threads, len(w), len(w), func(lo, hi int) {
			a.update(w[lo:hi], m[lo:hi], v[lo:hi], grad[lo:hi], p.decay, a.rate*unbias1, unbias2)
		})
	}
	return nil
}

// update is step on a range of one parameter; slices of one length let the compiler drop the bounds checks.
func (a *adam) update(w, m, v, grad []float32, decay, rate, unbias2 float32) {
	m, v, grad = m[:len(w)], v[:len(w)], grad[:len(w)]
	keep1, take1, keep2, take2 := a.beta1, 1-a.beta1, a.beta2, 1-a.beta2
	for i, x := range w {
		g := grad[i] + decay*x
		m[i] = keep1*m[i] + take1*g
		v[i] = keep2*v[i] + take2*g*g
		w[i] = x - rate*m[i]/(float32(math.Sqrt(float64(v[i]*unbias2)))+epsilon)
	}
}

// average is the exponential moving average of parameters; what a GAN's generator is sampled with.
type average struct {
	decay  float32
	steps  int
	params []*param
	values [][]float32
}

func newAverage(params []*param, decay float32) *average {
	a := &average{decay: decay, params: params}
	for _, p := range params {
		a.values = append(a.values, append([]float32(nil), data(p.value)...))
	}
	return a
}

// update takes the parameters in. While few steps are made it forgets faster, (1+t)/(10+t), so that the random start
// does not linger.
func (a *average) update() {
	a.steps++
	t := float32(a.steps)
	keep := min(a.decay, (1+t)/(10+t))
	for i, p := range a.params {
		avg := a.values[i]
		for j, x := range data(p.value) {
			avg[j] += (1 - keep) * (x - avg[j])
		}
	}
}
