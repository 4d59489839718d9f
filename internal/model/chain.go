package model

import (
	"bytes"
	"slices"
)

// ChainEnd is the value of a chain that ends it; those below it are bytes.
const ChainEnd = 1 << 8

// Other is the last child's value, in trees of chains, where the child is that of all values that have none of their
// own: too few training packets had them to tell what follows.
const Other = 1<<16 - 1

// Values of a chain's features that are tokens: the number of a beginning that the chain knows, or one of these.
const (
	NoToken      = Other - 1 // there is none
	UnknownToken = Other - 2
	// MostTokens is the number of beginnings that a chain can know.
	MostTokens = 1 << 10
)

// What a chain's tree may split on beside slots drawn before. A token is a run of letters and digits; a name is a
// token of shortestName bytes at least that begins with a letter and that the chain knows: two hex digits are none.
const (
	chainByte     = 0                          // the bytes 1, 2, .. chainBytes back, or chainNone before the first
	chainClass    = chainByte + chainBytes     // their classes, of the last chainClasses
	chainPlace    = chainClass + chainClasses  // number of bytes so far
	chainRun      = chainPlace + 1             // number of bytes of the last one's class at the end
	chainPart     = chainRun + 1               // number of bytes of the token at the end
	chainToken    = chainPart + 1              // the token at the end, which may not be over
	chainBefore   = chainToken + 1             // the tokens before it, the last first
	chainName     = chainBefore + chainTokens  // the names before it, the last first
	chainFirst    = chainName + chainTokens    // the first names
	chainWhere    = chainFirst + chainTokens   // which token it is since the last name, and which byte of it comes next
	chainTokenNum = chainWhere + 1             // number of tokens before it
	chainSince    = chainTokenNum + 1          // number of tokens before it since the last name
	chainList     = chainSince + 1             // of a list (see Frame): what its next byte is
	chainKey      = chainList + 1              // the key of its entry, and those before it, the last first
	chainKeys     = chainKey + 1 + chainTokens // the first keys
	chainOpening  = chainKeys + chainTokens    // the first byte of its first value
	chainOffset   = chainOpening + 1           // number of bytes of the value so far
	chainLength   = chainOffset + 1            // number of bytes of the value
	chainLeft     = chainLength + 1            // number of bytes of the value that are to come
	chainEntries  = chainLeft + 1              // number of entries so far
	// ChainFeatures is the number of features of a chain, TextFeatures of one that is no list, and ListState the first of
	// a list: what the next byte of an entry is.
	ChainFeatures = chainEntries + 1
	TextFeatures  = chainList
	ListState     = chainList

	chainBytes, chainClasses, chainTokens = 8, 4, 3
	chainNone                             = 1 << 8
	shortestName                          = 3
)

// ChainTells are the features of a chain that is over that tell most of what it says: its first names, and its last; of
// a list, its entries' keys, and how many there are.
func ChainTells(list bool) []int {
	if list {
		return []int{chainKeys, chainKeys + 1, chainKeys + 2, chainKey + 1, chainKey + 2, chainOpening, chainEntries}
	}
	return []int{chainFirst, chainFirst + 1, chainFirst + 2, chainName, chainName + 1, chainToken}
}

// ChainSplit is [Forest.Split] of a node that splits on a chain's feature.
func ChainSplit(feature int) int32 { return Leaf - 1 - int32(feature) }

// ChainCounts reports whether a chain's feature is a number of something.
func ChainCounts(feature int) bool {
	return feature >= chainPlace && feature < chainToken || feature >= chainTokenNum && feature < chainList || feature >= chainLeft
}

// Chain is the bytes of a [SlotChain] so far, and what its tree's splits ask of them. Beside [Chain.Reset] nothing in
// it allocates once its bytes have been as many.
type Chain struct {
	known [][]byte // beginnings of tokens, ascending
	bytes []byte
	begin int // of the token at the end

	run, tokens, since    uint16
	token                 uint16 // the number of the one at the end
	before, names, firsts [chainTokens]uint16

	list list
}

// Reset begins a chain that knows these beginnings of tokens: ascending, each with all of its own beginnings; a list, if the
// frame is that of one.
func (c *Chain) Reset(known [][]byte, frame Frame) {
	*c = Chain{known: known, bytes: c.bytes[:0], token: NoToken, list: newList(frame)}
	for i := range chainTokens {
		c.before[i], c.names[i], c.firsts[i] = NoToken, NoToken, NoToken
	}
}

// Push appends a byte.
func (c *Chain) Push(b byte) {
	switch class := classOf(b); {
	case len(c.bytes) > 0 && classOf(c.bytes[len(c.bytes)-1]) == class:
		c.run = min(c.run+1, chainNone)
	default:
		c.run = 1
	}
	c.bytes = append(c.bytes, b)
	value := c.list.frame.Form == FrameNone || c.list.push(b)
	if !value || !InToken(b) {
		c.endToken()
		c.begin = len(c.bytes)
		return
	}
	if c.token != UnknownToken {
		c.token = c.find()
	}
}

// find returns the number of the token at the end, which is one byte longer than the one that c.token numbers.
func (c *Chain) find() uint16 {
	after := 0
	if c.token != NoToken {
		after = int(c.token) + 1
	}
	at, found := slices.BinarySearchFunc(c.known[after:], c.bytes[c.begin:], bytes.Compare)
	if !found {
		return UnknownToken
	}
	return uint16(after + at)
}

// endToken moves the token at the end, if there is one, to those before.
func (c *Chain) endToken() {
	if c.token == NoToken {
		return
	}
	shift(&c.before, c.token)
	c.tokens, c.since = min(c.tokens+1, chainNone), min(c.since+1, chainNone)
	if c.token != UnknownToken && len(c.bytes)-1-c.begin >= shortestName && !isDigit(c.bytes[c.begin]) {
		shift(&c.names, c.token)
		c.since = 0
		if at := slices.Index(c.firsts[:], NoToken); at >= 0 {
			c.firsts[at] = c.token
		}
	}
	c.token = NoToken
}

func shift(list *[chainTokens]uint16, first uint16) {
	copy(list[1:], list[:])
	list[0] = first
}

// Value returns a feature of what follows the chain's bytes.
func (c *Chain) Value(feature int) uint16 {
	switch {
	case feature < chainClass:
		return c.back(feature - chainByte)
	case feature < chainPlace:
		if b := c.back(feature - chainClass); b != chainNone {
			return classOf(byte(b))
		}
		return chainNone
	case feature < chainBefore:
		return [...]uint16{uint16(len(c.bytes)), c.run, uint16(len(c.bytes) - c.begin), c.token}[feature-chainPlace]
	case feature < chainName:
		return c.before[feature-chainBefore]
	case feature < chainFirst:
		return c.names[feature-chainName]
	case feature < chainWhere:
		return c.firsts[feature-chainFirst]
	case feature == chainWhere:
		return min(c.since, 31)<<3 | uint16(min(len(c.bytes)-c.begin, 7))
	case feature == chainTokenNum:
		return c.tokens
	case feature == chainSince:
		return c.since
	}
	return c.list.value(feature)
}

// back returns the byte i before the last.
func (c *Chain) back(i int) uint16 {
	if i >= len(c.bytes) {
		return chainNone
	}
	return uint16(c.bytes[len(c.bytes)-1-i])
}

// Classes of bytes.
const (
	classControl = iota
	classSpace
	classDigit
	classLower
	classUpper
	classPunctuation
	classHigh
)

func classOf(b byte) uint16 {
	switch {
	case b == ' ':
		return classSpace
	case b < ' ' || b == 0x7f:
		return classControl
	case isDigit(b):
		return classDigit
	case b >= 'a' && b <= 'z':
		return classLower
	case b >= 'A' && b <= 'Z':
		return classUpper
	case b < 0x7f:
		return classPunctuation
	}
	return classHigh
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// InToken reports whether a byte is part of a token of a [Chain]: a letter or digit.
func InToken(b byte) bool {
	c := classOf(b)
	return c == classDigit || c == classLower || c == classUpper
}

// roomForChains makes room for the texts of any shape's chains.
func (d *Draft) roomForChains() {
	most, longest, slot := 0, 0, 0
	for _, shape := range d.forest.Shapes {
		n := 0
		for _, s := range d.forest.Slots[slot : slot+int(shape.Slots)] {
			if s.Kind == SlotChain {
				n += int(s.At)
				longest = max(longest, int(s.At))
			}
		}
		most, slot = max(most, n), slot+int(shape.Slots)
	}
	d.text, d.chain.bytes = make([]byte, 0, most), make([]byte, 0, longest)
}

// chainNode returns the node that decides on a chain's next byte.
func (d *Draft) chainNode(slot int) int {
	s, f := &d.forest.Slots[slot], d.forest
	if d.open != slot {
		d.open, d.texts[slot] = slot, int32(len(d.text))
		d.chain.Reset(f.Words[s.Word:s.Word+s.Size], frameOf(s.Add))
	}
	node := s.Root
	for f.Split[node] != Leaf {
		lo, hi := f.FirstKid[node], f.FirstKid[node+1]
		at := kidOf(f.KidValue[lo:hi], f.Split[node], d.splitValue(f.Split[node]))
		if at < 0 {
			break
		}
		node = f.Kid[int(lo)+at]
	}
	return int(node)
}

// kidOf returns which of a chain's children a value leads to: that of the value, of the next one where it is a number
// of something, or of all others; -1 if there is none.
func kidOf(kids []uint16, split int32, value uint16) int {
	at, found := slices.BinarySearch(kids, value)
	last := len(kids) - 1
	switch {
	case found, at <= last && split < Leaf && ChainCounts(int(Leaf-1-split)):
		return at
	case kids[last] == Other:
		return last
	}
	return -1
}

// splitValue is the value of what a node of a chain's tree splits on.
func (d *Draft) splitValue(split int32) uint16 {
	if split < Leaf {
		return d.chain.Value(int(Leaf - 1 - split))
	}
	return d.values[split]
}

// setChain decides on a chain's next byte.
func (d *Draft) setChain(slot int, value uint16) (more bool) {
	if value < ChainEnd {
		d.text = append(d.text, byte(value))
		d.chain.Push(byte(value))
	}
	d.values[slot] = uint16(len(d.chain.bytes))
	return value < ChainEnd && len(d.chain.bytes) < int(d.forest.Slots[slot].At)
}
