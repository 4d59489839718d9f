package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/vec"
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
		s := vec.AdamStep{
			Decay: p.decay, Keep1: a.beta1, Take1: 1 - a.beta1, Keep2: a.beta2, Take2: 1 - a.beta2,
			Rate: a.rate * unbias1, Unbias2: unbias2, Epsilon: epsilon,
		}
		parallel(a.threads, len(w), len(w), func(lo, hi int) { s.Do(w[lo:hi], m[lo:hi], v[lo:hi], grad[lo:hi]) })
	}
	return nil
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
		vec.Lerp(a.values[i], 1-keep, data(p.value))
	}
}
