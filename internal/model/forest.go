package model

import "slices"

// Leaf is [Forest.Split] of a node without children, and the root of a slot that nothing is drawn for.
const Leaf = -1

// Absent is the value of a slot that a packet is too short to have.
const Absent = 1<<16 - 1

// Forest is what recipe tree learned of one label: how its packets are laid out, and a decision tree for
// each part of them that varies.
//
// Packets of one label differ in length, and a field that varies in length shifts all that follows. So a
// packet is not a row of positions but one of Shapes: a list of slots, left to right, each of which writes
// some bytes. What training packets have in common (a protocol's fixed text) stands between the fields and
// keeps them apart, wherever it lies in the packet.
//
// Slots are drawn in Order: those that vary in length first, so that the packet's length is known when the
// others, a length field among them, are drawn. What only repeats others, as it is or in another form, is not drawn
// but written. A slot's tree splits on the values of slots drawn before it,
// and draws one of the values that its node's training packets had, by their number. What a protocol counts
// (how long the rest of a message is) is a value to split on, too, although nothing writes it as it is.
type Forest struct {
	Shapes []Shape
	Slots  []Slot   // shape by shape
	Words  [][]byte // of the slots
	Order  []int32  // shape by shape, as long as Shape.Draws says: the slots that have a value
	// Derived are what SlotDerived slots write.
	Derived []Derivation

	// The trees. A node's children come after it; nodes of one tree are consecutive.
	Split    []int32  // [node] slot that the node splits on, or Leaf; in trees of chains also a ChainSplit
	FirstKid []int32  // [node + 1] node n's children are Kid[FirstKid[n]:FirstKid[n+1]]
	KidValue []uint16 // [child] value of the slot that leads there, ascending in a node
	Kid      []int32  // [child] node
	First    []int32  // [node + 1] node n's values are Value[First[n]:First[n+1]]
	Value    []uint16 // ascending in a node
	Count    []uint32 // of each Value: at least 1
}

// Shape is one way in which packets are laid out.
type Shape struct {
	Count uint32 // training packets laid out so: at least 1
	Slots int32  // number of slots
	Draws int32  // number of them that are drawn
}

// SlotKind says what a slot writes.
type SlotKind int32

// The kinds of slots.
const (
	SlotFixed   SlotKind = iota // the bytes Words[Word]
	SlotLength                  // the packet's length plus Add, big-endian, in Size bytes
	SlotWord                    // the bytes Words[Word+value]: values are 0..Size-1
	SlotWidth                   // nothing: its value is the number of bytes that the slots with this Width are cut to
	SlotDigit                   // a hex digit, which is its value; always a high one, then a low one
	SlotBehind                  // nothing: its value is the number of bytes from here to the packet's end; it has no tree
	SlotDerived                 // what Derived[Word] says, in Size bytes, or in as many as it takes: its value; it has no tree
	SlotChain                   // bytes drawn one after another by one tree, until ChainEnd or At of them: its value is how many
	SlotToken                   // nothing: its value is feature At of the chain that slot Width is, at its end; it has no tree
)

// Counted reports whether a slot is drawn by its counts in recipe gan, too: where fields end is not trained.
func (k SlotKind) Counted() bool { return k == SlotWidth || k == SlotChain }

// Slot is a part of a packet.
type Slot struct {
	Kind SlotKind
	Root int32 // of its tree, or Leaf
	Word int32
	Size int32
	Add  int32
	// Width is the slot that cuts a digit's or word's field, or Leaf where it is always there; At is the number of
	// the first digit that it writes in the field. Of a chain, the Size words from Word on are the beginnings of
	// tokens that its tree knows, and Add is its Frame, packed: see Chain.
	Width, At int32
}

// Nodes is the number of nodes of all trees.
func (f *Forest) Nodes() int { return len(f.Split) }

// Support returns the values that a node's training packets had, ascending, and their counts.
func (f *Forest) Support(node int) (values []uint16, counts []uint32) {
	lo, hi := f.First[node], f.First[node+1]
	return f.Value[lo:hi], f.Count[lo:hi]
}

// Walk returns the node of a slot's tree that the values of the slots drawn before lead to. Where training
// never saw the next value, the walk stays at the inner node.
func (f *Forest) Walk(slot int, values []uint16) int {
	node := f.Slots[slot].Root
	for f.Split[node] != Leaf {
		lo, hi := f.FirstKid[node], f.FirstKid[node+1]
		at, found := slices.BinarySearch(f.KidValue[lo:hi], values[f.Split[node]])
		if !found {
			break
		}
		node = f.Kid[int(lo)+at]
	}
	return int(node)
}

// Draft is a packet of a forest in the making. It is for one goroutine and allocates nothing.
type Draft struct {
	forest *Forest
	values []uint16 // [slot]
	places []int32  // [slot] byte where it begins; known for slots below cursor
	text   []byte   // of the derived slots and the chains, one after the other
	texts  []int32  // [slot] where its text begins
	first  int      // slot of the shape, and the one after its last
	end    int
	cursor int
	order  []int32

	chain Chain
	open  int // slot of the chain that is being drawn, or Leaf
}

// NewDraft returns a draft that [Draft.Start] begins packets with.
func (f *Forest) NewDraft() *Draft {
	d := &Draft{
		forest: f, values: make([]uint16, len(f.Slots)), places: make([]int32, len(f.Slots)+1), texts: make([]int32, len(f.Slots)),
	}
	d.roomForChains()
	return d
}

// Start begins a packet of a shape and returns the slots to draw, in order.
func (d *Draft) Start(shape int) []int32 {
	first, draws := 0, 0
	for _, s := range d.forest.Shapes[:shape] {
		first += int(s.Slots)
		draws += int(s.Draws)
	}
	s := d.forest.Shapes[shape]
	d.first, d.end, d.cursor = first, first+int(s.Slots), first
	d.places[first], d.text, d.open = 0, d.text[:0], Leaf
	d.order = d.forest.Order[draws : draws+int(s.Draws)]
	return d.order
}

// Node returns the node that decides on the next slot, or Leaf where there is nothing to decide: the value is known,
// or the packet is too short to have it. Then it is not to be set.
func (d *Draft) Node(slot int) int {
	s := &d.forest.Slots[slot]
	switch s.Kind {
	case SlotChain:
		return d.chainNode(slot)
	case SlotBehind:
		d.values[slot] = d.behind(slot)
		return Leaf
	case SlotDerived:
		d.derive(slot)
		return Leaf
	case SlotToken:
		d.values[slot] = d.chain.Value(int(s.At))
		return Leaf
	}
	if s.Width != Leaf && s.At >= 2*int32(d.values[s.Width]) {
		d.values[slot] = Absent
		return Leaf
	}
	return d.forest.Walk(slot, d.values)
}

// behind is the number of bytes that slots write from this one on, whose lengths are known.
func (d *Draft) behind(slot int) uint16 {
	n := 0
	for ; slot < d.end; slot++ {
		n += d.size(slot)
	}
	return uint16(min(n, Absent-1))
}

// Set decides on a slot, or on a chain's next byte: then more reports that another is to be decided on, with another
// [Draft.Node].
func (d *Draft) Set(slot int, value uint16) (more bool) {
	if d.forest.Slots[slot].Kind == SlotChain {
		return d.setChain(slot, value)
	}
	d.values[slot] = value
	return false
}

// Place returns the number of the first digit that a slot writes in its packet. The slots to the left of it
// that vary in length must be set.
func (d *Draft) Place(slot int) int {
	for ; d.cursor < slot; d.cursor++ {
		d.places[d.cursor+1] = d.places[d.cursor] + int32(d.size(d.cursor))
	}
	place := 2 * int(d.places[slot])
	if s := &d.forest.Slots[slot]; s.Kind == SlotDigit && d.low(slot) {
		place++
	}
	return place
}

// size is the number of bytes that a slot adds to where the next begins: a byte's high digit adds none.
func (d *Draft) size(slot int) int {
	s := &d.forest.Slots[slot]
	if s.Width != Leaf && d.values[slot] == Absent || s.Kind == SlotToken {
		return 0
	}
	switch s.Kind {
	case SlotFixed:
		return len(d.forest.Words[s.Word])
	case SlotLength:
		return int(s.Size)
	case SlotDerived:
		if s.Size == 0 {
			return int(d.values[slot])
		}
		return int(s.Size)
	case SlotWord:
		return len(d.forest.Words[int(s.Word)+int(d.values[slot])])
	case SlotChain:
		return int(d.values[slot])
	case SlotDigit:
		if d.low(slot) {
			return 1
		}
	}
	return 0
}

// low reports whether a digit is the low one of its byte.
func (d *Draft) low(slot int) bool { return d.forest.Slots[slot].At%2 == 1 }

// Append appends the packet, all of whose slots are set, to dst.
func (d *Draft) Append(dst []byte) []byte {
	length := d.Place(d.end-1)/2 + d.size(d.end-1)
	for slot := d.first; slot < d.end; slot++ {
		dst = d.appendSlot(dst, slot, length)
	}
	return dst
}

// appendSlot appends what a slot writes in a packet of a length.
func (d *Draft) appendSlot(dst []byte, slot, length int) []byte {
	s := &d.forest.Slots[slot]
	if s.Width != Leaf && d.values[slot] == Absent {
		return dst
	}
	switch s.Kind {
	case SlotFixed:
		return append(dst, d.forest.Words[s.Word]...)
	case SlotLength:
		v := length + int(s.Add)
		if s.Size == 2 {
			dst = append(dst, byte(v>>8))
		}
		return append(dst, byte(v))
	case SlotWord:
		return append(dst, d.forest.Words[int(s.Word)+int(d.values[slot])]...)
	case SlotDigit:
		if d.low(slot) {
			return append(dst, byte(d.values[slot-1]<<4|d.values[slot]))
		}
	case SlotDerived, SlotChain:
		return append(dst, d.written(slot)...)
	}
	return dst
}

// Written returns the bytes that a word's value stands for, nil of other kinds.
func (f *Forest) Written(slot int, value uint16) []byte {
	if s := &f.Slots[slot]; s.Kind == SlotWord {
		return f.Words[int(s.Word)+int(value)]
	}
	return nil
}
