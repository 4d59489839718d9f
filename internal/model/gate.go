package model

import (
	"fmt"
	"math"

	"pacgan-appliance/internal/encoding"
)

// Prior is what the gate starts from at a tree's node.
type Prior string

// The priors of MODEL recipe G.
const (
	PriorUniform   Prior = "uniform"   // every value that the node's training packets had is equally likely
	PriorFrequency Prior = "frequency" // values are as likely as the node's training packets had them
)

// ThetaScale multiplies theta in the logits.
const ThetaScale = 20

// Gate is what recipe gan learns beside the convolutional generator. The logit of a value at a node of a slot's
// tree is
//
//	log prior(node, value) + ThetaScale*Theta[node, value] + sum over the digits that the value writes of
//	Bias[place][digit] + net(noise, label)[place][digit]
//
// with the node that [Forest.Walk] visits, and place the digit's in the packet being drawn. The sum is of a
// digit's one logit, or, for a word, of what a network that draws digits independently would give it.
type Gate struct {
	Prior Prior
	Theta [][]float32 // [label][place in Forest.Value]
	Bias  [][]float32 // [label][digit*16 + value], Geometry.DigitsCapacity() digits
}

// NewGate returns an untrained gate, Theta and Bias zero, for the given trees and number of digits.
func NewGate(prior Prior, forests []Forest, digits int) *Gate {
	g := &Gate{Prior: prior, Theta: make([][]float32, len(forests)), Bias: make([][]float32, len(forests))}
	for i := range forests {
		g.Theta[i] = make([]float32, len(forests[i].Value))
		g.Bias[i] = make([]float32, digits*valuesPerNode)
	}
	return g
}

// LogPrior returns the log prior of each of a forest's values at its node.
func (p Prior) LogPrior(f *Forest) []float32 {
	prior := make([]float32, len(f.Value))
	for node := range f.Nodes() {
		values, counts := f.Support(node)
		total := 0.0
		for _, c := range counts {
			total += float64(c)
		}
		for i, c := range counts {
			at := int(f.First[node]) + i
			if p == PriorFrequency {
				prior[at] = float32(math.Log(float64(c) / total))
			} else {
				prior[at] = float32(-math.Log(float64(len(values))))
			}
		}
	}
	return prior
}

// logits returns prior + ThetaScale*Theta for each value of each node of a label's trees.
func (g *Gate) logits(f *Forest, label int) []float32 {
	logits := g.Prior.LogPrior(f)
	for i, theta := range g.Theta[label] {
		logits[i] += ThetaScale * theta
	}
	return logits
}

// Logit sums the logits, [digit][16], of the digits that a slot's value writes from digit place on. Digits
// beyond the logits' end, of packets longer than any in training, add nothing.
func (f *Forest) Logit(slot int, value uint16, place int, logits []float32) float32 {
	at := place * valuesPerNode
	if f.Slots[slot].Kind == SlotDigit {
		if at+valuesPerNode > len(logits) {
			return 0
		}
		return logits[at+int(value)]
	}
	var sum float32
	for _, b := range f.Written(slot, value) {
		if at+2*valuesPerNode > len(logits) {
			break
		}
		sum += logits[at+int(b>>4)] + logits[at+valuesPerNode+int(b&15)]
		at += 2 * valuesPerNode
	}
	return sum
}

// validate reports a prior that this program does not know.
func (p Prior) validate() error {
	if p != PriorUniform && p != PriorFrequency {
		return fmt.Errorf("prior %q: must be %q or %q", p, PriorUniform, PriorFrequency)
	}
	return nil
}

// valuesPerNode is the number of logits of a digit.
const valuesPerNode = encoding.Values
