package train

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// maxPacket is the longest packet that trees are grown for: IPv4's longest (RFC 791).
const maxPacket = 1<<16 - 1

// digitValues is the number of values of a digit.
const digitValues = encoding.Values

// FitTrees learns one label's packets (recipe tree, and the gate of recipe gan): it aligns them, finds their fields,
// and grows a decision tree for each word, width and digit that varies, over those drawn before. With
//
//	L_a(n)   = sum over s = 0..n-1 of ln(a + s)
//	ML(node) = sum over t of L_{1/k}(n_t) - L_1(m),  k values in the node, n_t their counts, m their sum
//
// a node splits on the variable j with the largest sum over its children of ML(child), the children with the node's
// k, if that exceeds ML(node) by the logarithm of the number of variables there are to choose from; the first such
// j where several are equal. It gets one child for each value of j seen in it; there is no depth limit and no constant
// to tune. ML is the logarithm of the probability of the node's sequence of values under a Dirichlet prior of one
// pseudo-count in all, so a split has to pay for its children and for its own name.
//
// The result does not depend on the order of the packets, nor on threads, the number of goroutines to grow with (less
// than one means one). A cancelled ctx ends the work with its error.
func FitTrees(ctx context.Context, packets [][]byte, threads int) (*model.Forest, error) {
	if len(packets) == 0 {
		return nil, errors.New("fit trees: no packets")
	}
	for _, p := range packets {
		if len(p) > maxPacket {
			return nil, fmt.Errorf("fit trees: packet of %d bytes: the longest IPv4 packet has %d", len(p), maxPacket)
		}
	}
	f := &model.Forest{First: []int32{0}, FirstKid: []int32{0}}
	for _, a := range align(packets) {
		l := layOut(a.derive())
		trees, err := l.grow(ctx, max(threads, 1))
		if err != nil {
			return nil, fmt.Errorf("fit trees: %w", err)
		}
		l.plant(f, trees)
	}
	return f, nil
}

// grow grows the tree of each variable.
func (l *layout) grow(ctx context.Context, threads int) ([]tree, error) {
	trees := make([]tree, len(l.vars))
	group, growing := errgroup.WithContext(ctx)
	group.SetLimit(threads)
	pool := make(chan *grower, threads)
	for range threads {
		pool <- newGrower(l.vars, l.packets)
	}
	for i := range trees {
		if growing.Err() != nil {
			break
		}
		if l.vars[i].known {
			continue
		}
		group.Go(func() error {
			g := <-pool
			defer func() { pool <- g }()
			var err error
			if chain := l.vars[i].chain; chain != nil {
				trees[i], err = growChain(growing, chain)
			} else {
				trees[i], err = g.growTree(growing, i, l.features(i))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return trees, ctx.Err()
}

const (
	// mostFeatureValues is the largest number of values of a variable that trees split on.
	mostFeatureValues = 1 << 10
	// nearDigits and farDigits are how many digits a tree may look at: those drawn last before its own, and the
	// first of its shape's fixed parts, which are the headers. Time would be quadratic in a packet's length
	// without.
	nearDigits, farDigits = 48, 64
)

// features returns the variables that variable i's tree may split on: words and widths, and a bounded number of
// digits.
func (l *layout) features(i int) []int32 {
	var features []int32
	near, far := i, 0
	for seen := 0; near > 0 && seen < nearDigits; near-- {
		if l.vars[near-1].digit {
			seen++
		}
	}
	for j := range l.vars[:i] {
		v := &l.vars[j]
		switch {
		case v.codes == nil: // text
			continue
		case v.digit && j >= near:
		case v.digit && !v.cut && far < farDigits:
			far++
		case !v.digit && v.arity <= mostFeatureValues:
		default:
			continue
		}
		features = append(features, int32(j))
	}
	return features
}

// plant appends the layout and its trees to the forest as a shape.
func (l *layout) plant(f *model.Forest, trees []tree) {
	slot0, word0, derived0 := int32(len(f.Slots)), int32(len(f.Words)), int32(len(f.Derived))
	f.Shapes = append(f.Shapes, model.Shape{Count: uint32(l.packets), Slots: int32(len(l.slots)), Draws: int32(len(l.vars))})
	roots := map[*tree]int32{} // of leaves that are shared
	for i, t := range trees {
		v := &l.vars[i]
		f.Order = append(f.Order, slot0+v.slot)
		if v.known {
			continue
		}
		if root, known := roots[v.leaf]; known {
			l.slots[v.slot].Root = root
			continue
		}
		node0, value0 := int32(len(f.Split)), int32(len(f.Value))
		l.slots[v.slot].Root = node0
		if v.leaf != nil {
			roots[v.leaf] = node0
		}
		for n := range t.split {
			split := t.split[n]
			if split >= 0 {
				split = slot0 + l.vars[split].slot
			}
			f.Split = append(f.Split, split)
			for _, k := range t.kids[n] {
				f.KidValue, f.Kid = append(f.KidValue, k.value), append(f.Kid, node0+k.node)
			}
			f.FirstKid = append(f.FirstKid, int32(len(f.Kid)))
			if n > 0 {
				f.First = append(f.First, value0+t.first[n])
			}
		}
		f.Value, f.Count = append(f.Value, t.value...), append(f.Count, t.count...)
		f.First = append(f.First, int32(len(f.Value)))
	}
	for _, s := range l.slots {
		if s.Kind == model.SlotFixed || s.Kind == model.SlotWord || s.Kind == model.SlotChain {
			s.Word += word0
		}
		if s.Kind == model.SlotDerived {
			s.Word += derived0
		}
		if s.Width != model.Leaf {
			s.Width += slot0
		}
		f.Slots = append(f.Slots, s)
	}
	f.Words = append(f.Words, l.words...)
	for _, d := range l.derived {
		d.From += slot0
		f.Derived = append(f.Derived, d)
	}
}
