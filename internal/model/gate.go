package model

import (
	"fmt"
	"math"
)

// Prior is what the gate starts from at a tree's node.
type Prior string

// The priors of MODEL recipe G.
const (
	PriorUniform   Prior = "uniform"   // every value that the node's training packets had is equally likely
	PriorFrequency Prior = "frequency" // values are as likely as the node's training packets had them
)

const (
	// ThetaScale multiplies a node's theta in the logits.
	ThetaScale = 20
	// Impossible is the logit of a value that the visited node never had: finite, so that gradients
	// are, and low enough that no sum brings it back.
	Impossible = -1e9
)

// Gate is what recipe gan learns beside the convolutional generator. The logits of a digit of a
// label are
//
//	prior(node) + ThetaScale*Theta[node] + Bias[digit] + net(noise, label)[digit]
//
// with the node that [Forest.Walk] visits.
type Gate struct {
	Prior Prior
	Theta [][]float32 // [label][node*16 + value], nodes as in the label's Forest
	Bias  [][]float32 // [label][digit*16 + value], Geometry.DigitsCapacity() digits
}

// NewGate returns an untrained gate, Theta and Bias zero, for the given trees and number of digits.
func NewGate(prior Prior, forests []Forest, digits int) *Gate {
	g := &Gate{Prior: prior, Theta: make([][]float32, len(forests)), Bias: make([][]float32, len(forests))}
	for i := range forests {
		g.Theta[i] = make([]float32, forests[i].Nodes()*valuesPerNode)
		g.Bias[i] = make([]float32, digits*valuesPerNode)
	}
	return g
}

// LogPrior writes the log prior of the 16 values at a node of a digit's tree to dst; Impossible where
// training had none.
func (p Prior) LogPrior(dst []float32, f *Forest, node int) {
	values, counts := f.Support(node)
	for v := range dst[:valuesPerNode] {
		dst[v] = Impossible
	}
	total := 0.0
	for _, c := range counts {
		total += float64(c)
	}
	for i, v := range values {
		if p == PriorFrequency {
			dst[v] = float32(math.Log(float64(counts[i]) / total))
		} else {
			dst[v] = float32(-math.Log(float64(len(values))))
		}
	}
}

// logits returns prior + ThetaScale*Theta + Bias for each value of each node of a label's trees, in
// the order of Forest.Value; the length tree's, which is drawn by its counts, stay 0.
func (g *Gate) logits(f *Forest, label int) []float32 {
	logits := make([]float32, len(f.Value))
	var prior [valuesPerNode]float32
	for digit := range f.Digits() {
		for node := int(f.Root[digit]); node < int(f.Root[digit+1]); node++ {
			g.Prior.LogPrior(prior[:], f, node)
			for at := f.First[node]; at < f.First[node+1]; at++ {
				v := int(f.Value[at])
				logits[at] = prior[v] + ThetaScale*g.Theta[label][node*valuesPerNode+v] + g.Bias[label][digit*valuesPerNode+v]
			}
		}
	}
	return logits
}

// validate reports a prior that this program does not know.
func (p Prior) validate() error {
	if p != PriorUniform && p != PriorFrequency {
		return fmt.Errorf("prior %q: must be %q or %q", p, PriorUniform, PriorFrequency)
	}
	return nil
}
