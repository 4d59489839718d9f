package model

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// maxBytes bounds the packets that a forest can write, so that a hostile file cannot exhaust memory. Words of
// different training packets together may exceed the longest of these.
const maxBytes = 1 << 20

// validate reports what would lead a drawing astray: each slot of a shape is drawn once at most, after the slots
// that its tree splits on, from values that it can write; each child comes after its parent, so that no walk
// goes in a circle.
func (f *Forest) validate() error {
	if err := f.validateArrays(); err != nil {
		return err
	}
	slots, draws := 0, 0
	owned := make([]bool, f.Nodes()) // nodes that are a child or a root: of one parent or slot alone
	if err := f.validateChildren(owned); err != nil {
		return err
	}
	for i, s := range f.Shapes {
		if s.Count == 0 || s.Slots < 1 || s.Draws < 0 || int(s.Slots) > len(f.Slots)-slots || int(s.Draws) > len(f.Order)-draws {
			return fmt.Errorf("shape %d: %d packets, %d slots, %d of them drawn", i, s.Count, s.Slots, s.Draws)
		}
		c := shapeCheck{
			Forest: f, first: slots, end: slots + int(s.Slots), owned: owned,
			drawn: make(map[int32]bool, s.Draws), texts: map[int32]int{}, last: Leaf,
		}
		if err := c.check(f.Order[draws : draws+int(s.Draws)]); err != nil {
			return fmt.Errorf("shape %d: %w", i, err)
		}
		slots, draws = c.end, draws+int(s.Draws)
	}
	if slots != len(f.Slots) || draws != len(f.Order) {
		return fmt.Errorf("%d slots and %d draws belong to no shape", len(f.Slots)-slots, len(f.Order)-draws)
	}
	return nil
}

// validateArrays checks that the nodes' arrays fit together and that each node is a node.
func (f *Forest) validateArrays() error {
	nodes := f.Nodes()
	switch {
	case len(f.Shapes) == 0:
		return errors.New("no shapes")
	case len(f.First) != nodes+1 || len(f.FirstKid) != nodes+1 || len(f.Count) != len(f.Value) || len(f.KidValue) != len(f.Kid):
		return errors.New("arrays do not agree in length")
	case f.First[0] != 0 || int(f.First[nodes]) != len(f.Value):
		return errors.New("nodes do not cover the values")
	case f.FirstKid[0] != 0 || int(f.FirstKid[nodes]) != len(f.Kid):
		return errors.New("nodes do not cover the children")
	}
	for node := range nodes {
		if err := f.validateNode(node); err != nil {
			return fmt.Errorf("node %d: %w", node, err)
		}
	}
	return nil
}

func (f *Forest) validateNode(node int) error {
	lo, hi := f.First[node], f.First[node+1]
	if lo >= hi || int(hi) > len(f.Value) {
		return fmt.Errorf("values %d to %d of %d", lo, hi, len(f.Value))
	}
	for at := lo; at < hi; at++ {
		if at > lo && f.Value[at-1] >= f.Value[at] {
			return fmt.Errorf("value %d: must be ascending", f.Value[at])
		}
		if f.Count[at] == 0 {
			return fmt.Errorf("value %d was never seen", f.Value[at])
		}
	}
	lo, hi = f.FirstKid[node], f.FirstKid[node+1]
	if lo > hi || int(hi) > len(f.Kid) || (lo == hi) != (f.Split[node] == Leaf) {
		return fmt.Errorf("children %d to %d of %d, split on slot %d", lo, hi, len(f.Kid), f.Split[node])
	}
	for at := lo; at < hi; at++ {
		if at > lo && f.KidValue[at-1] >= f.KidValue[at] {
			return fmt.Errorf("child of value %d: must be ascending", f.KidValue[at])
		}
	}
	return nil
}

// validateChildren checks that the nodes are trees: each child comes after its parent and has no other.
func (f *Forest) validateChildren(owned []bool) error {
	for node := range f.Nodes() {
		for _, child := range f.Kid[f.FirstKid[node]:f.FirstKid[node+1]] {
			if int(child) <= node || int(child) >= f.Nodes() || owned[child] {
				return fmt.Errorf("node %d: child %d: must come after its parent, before %d, and have no other", node, child, f.Nodes())
			}
			owned[child] = true
		}
	}
	return nil
}

// shapeCheck checks the slots first..end-1 of one shape.
type shapeCheck struct {
	*Forest
	first, end int
	owned      []bool
	drawn      map[int32]bool
	texts      map[int32]int // longest of each derived slot
	last       int32         // the chain that was drawn last
	bytes      int           // of the longest packet
}

func (c *shapeCheck) check(order []int32) error {
	for _, slot := range order {
		if int(slot) < c.first || int(slot) >= c.end || c.drawn[slot] {
			return fmt.Errorf("draws slot %d twice, or it is another's", slot)
		}
		if err := c.tree(slot); err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
		c.drawn[slot] = true
	}
	for slot := c.first; slot < c.end; slot++ {
		if err := c.slot(slot); err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	if c.bytes > maxBytes {
		return fmt.Errorf("packets of up to %d bytes: at most %d", c.bytes, maxBytes)
	}
	return nil
}

// slot checks what a slot writes.
func (c *shapeCheck) slot(slot int) error {
	s := &c.Slots[slot]
	drawn := s.Kind != SlotFixed && s.Kind != SlotLength
	if drawn != c.drawn[int32(slot)] {
		return fmt.Errorf("kind %d: drawn %t", s.Kind, c.drawn[int32(slot)])
	}
	if s.Kind == SlotToken {
		return nil // see tree
	}
	if s.Width != Leaf && (!drawn || s.Kind.Counted() || s.Kind == SlotBehind || s.Kind == SlotDerived || int(s.Width) < c.first || int(s.Width) >= c.end || c.Slots[s.Width].Kind != SlotWidth) {
		return fmt.Errorf("its width is slot %d", s.Width)
	}
	words := 1
	switch s.Kind {
	case SlotLength:
		if s.Size != 1 && s.Size != 2 {
			return fmt.Errorf("a length of %d bytes", s.Size)
		}
	case SlotDigit:
		if err := c.pair(slot); err != nil {
			return err
		}
	case SlotChain:
		if err := c.chain(s); err != nil {
			return err
		}
	case SlotWord:
		words = int(s.Size)
	}
	if (s.Kind == SlotFixed || s.Kind == SlotWord) && (s.Word < 0 || words < 1 || words > len(c.Words)-int(s.Word)) {
		return fmt.Errorf("words %d to %d of %d", s.Word, int(s.Word)+words, len(c.Words))
	}
	if s.Kind != SlotDerived { // what is derived was counted when it was drawn
		c.bytes += c.longest(int32(slot))
	}
	return nil
}

// chain checks the length of a chain and the beginnings of tokens that it knows.
func (c *shapeCheck) chain(s *Slot) error {
	if s.At < 1 || s.At >= Absent {
		return fmt.Errorf("a chain of up to %d bytes", s.At)
	}
	if err := frameOf(s.Add).validate(s.Add); err != nil {
		return err
	}
	if s.Word < 0 || s.Size < 0 || s.Size > MostTokens || int(s.Size) > len(c.Words)-int(s.Word) {
		return fmt.Errorf("words %d to %d of %d", s.Word, int(s.Word)+int(s.Size), len(c.Words))
	}
	if !slices.IsSortedFunc(c.Words[s.Word:s.Word+s.Size], bytes.Compare) {
		return errors.New("the beginnings of tokens must be ascending")
	}
	return nil
}

// pair checks that a digit is one of two that make a byte.
func (c *shapeCheck) pair(slot int) error {
	s, other := &c.Slots[slot], slot+1
	if s.At < 0 {
		return errors.New("half a byte")
	}
	if s.At%2 == 1 {
		other = slot - 1
	}
	if other < c.first || other >= c.end {
		return errors.New("half a byte")
	}
	o := &c.Slots[other]
	if o.Kind != SlotDigit || o.Width != s.Width || o.At != s.At^1 {
		return errors.New("half a byte")
	}
	return nil
}

// token checks a slot whose value is known when its chain is drawn.
func (c *shapeCheck) token(slot int32) error {
	s := &c.Slots[slot]
	if s.Root != Leaf || s.Width != c.last || s.Width == Leaf || s.At < 0 || s.At >= ChainFeatures {
		return fmt.Errorf("root %d, feature %d of slot %d: must be of the chain that was drawn last, %d", s.Root, s.At, s.Width, c.last)
	}
	return nil
}

// behind checks a slot whose value is known when all that varies in length behind it is drawn.
func (c *shapeCheck) behind(slot int32) error {
	if c.Slots[slot].Root != Leaf {
		return fmt.Errorf("root %d of what is not drawn", c.Slots[slot].Root)
	}
	for i := slot; int(i) < c.end; i++ {
		if c.varies(&c.Slots[i]) && !c.drawn[i] {
			return fmt.Errorf("slot %d behind it is drawn after it", i)
		}
	}
	return nil
}

// varies reports whether a slot writes now more bytes, now fewer.
func (c *shapeCheck) varies(s *Slot) bool {
	if s.Kind == SlotDerived {
		return s.Size == 0
	}
	if s.Kind == SlotChain {
		return true
	}
	if s.Kind != SlotWord || s.Word < 0 || s.Size < 1 || int(s.Size) > len(c.Words)-int(s.Word) {
		return s.Width != Leaf
	}
	for _, w := range c.Words[s.Word : s.Word+s.Size] {
		if len(w) != len(c.Words[s.Word]) {
			return true
		}
	}
	return s.Width != Leaf
}

// tree checks the tree of a slot that is drawn next. Its nodes are those that the root leads to.
func (c *shapeCheck) tree(slot int32) error {
	s := &c.Slots[slot]
	switch s.Kind {
	case SlotBehind:
		return c.behind(slot)
	case SlotDerived:
		return c.derived(slot)
	case SlotToken:
		return c.token(slot)
	case SlotChain:
		c.last = slot
	}
	highest := 0
	switch s.Kind {
	case SlotWord:
		highest = int(s.Size) - 1
	case SlotDigit:
		highest = valuesPerNode - 1
	case SlotWidth:
		highest = maxBytes
	case SlotChain:
		highest = ChainEnd
	default:
		return fmt.Errorf("kind %d is not drawn", s.Kind)
	}
	if s.Width != Leaf && !c.drawn[s.Width] {
		return errors.New("is drawn before its width")
	}
	if s.Root < 0 || int(s.Root) >= c.Nodes() {
		return fmt.Errorf("root %d of %d nodes", s.Root, c.Nodes())
	}
	if c.owned[s.Root] && c.Split[s.Root] != Leaf { // a leaf may be the tree of many slots
		return fmt.Errorf("root %d is another's", s.Root)
	}
	c.owned[s.Root] = true
	return c.node(int(s.Root), highest, s.Kind)
}

// node checks a node of the tree of a slot of a kind, and those below it.
func (c *shapeCheck) node(node, highest int, kind SlotKind) error {
	if last := int(c.Value[c.First[node+1]-1]); last > highest {
		return fmt.Errorf("node %d: value %d: at most %d", node, last, highest)
	}
	split := c.Split[node]
	if split == Leaf {
		return nil
	}
	ofChain := kind == SlotChain && split < Leaf && split >= ChainSplit(ChainFeatures-1)
	if !ofChain && !c.drawn[split] {
		return fmt.Errorf("node %d splits on slot %d, which is not drawn before", node, split)
	}
	for _, child := range c.Kid[c.FirstKid[node]:c.FirstKid[node+1]] {
		if err := c.node(int(child), highest, kind); err != nil {
			return err
		}
	}
	return nil
}
