package model

import "fmt"

// Outputs runs the generator on rows of Arch.Inputs() values each, noise and one-hot label, and
// returns a row of Arch.Outputs() values for each, as the last layer gives them. It is for looking at
// a network; a [Sampler] is what draws packets, in larger batches.
func (n *Net) Outputs(inputs []float32) ([]float32, error) {
	width := n.Arch.Inputs()
	if len(inputs)%width != 0 {
		return nil, fmt.Errorf("run network %s on %d values: rows have %d", n.Arch.Kind, len(inputs), width)
	}
	f := newForward(n, 1)
	var outputs []float32
	for ; len(inputs) > 0; inputs = inputs[width:] {
		copy(f.input, inputs)
		outputs = append(outputs, f.run()...)
	}
	return outputs, nil
}
