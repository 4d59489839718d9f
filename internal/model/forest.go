package model

import "pacgan-appliance/internal/encoding"

// Leaf is [Forest.Split] of a node without children, and an absent child in [Forest.Child].
const Leaf = -1

// Forest is the digit trees of one label: a multiway decision tree for each digit i of a packet,
// which splits on digits j < i, and one for the packet's length.
//
// Packets of one label differ in length. Tree i is grown from the packets that have digit i, and the
// length has a tree of its own, grown by the same rule: it splits on the digits that every packet has
// (those before 2*MinLen) and its values are lengths in bytes. On IPv4 packets it finds the total
// length's digits by itself; on any other byte string it finds what tells the length, or draws it by
// its frequency. So digits need no 17th value, and a packet's end is never drawn twice.
//
// Nodes are numbered tree by tree, a parent before its children, the length tree last. Each node,
// inner or leaf, holds the values that its training packets had and how often.
type Forest struct {
	MinLen int     // bytes of the shortest training packet
	Root   []int32 // of digit i's tree at i; the length tree's is the last: 2 * longest packet + 1 of them
	Split  []int32 // [node] digit that the node splits on, or Leaf
	Kids   []int32 // [node] where its children start in Child; any value for a leaf
	Child  []int32 // [kids + digit value] node, or Leaf where training had no such value
	First  []int32 // [node + 1] node n's values are Value[First[n]:First[n+1]]
	Value  []uint16
	Count  []uint32 // of each Value: at least 1
}

// Digits is the number of digits that have a tree: those of the longest training packet.
func (f *Forest) Digits() int { return len(f.Root) - 1 }

// Nodes is the number of nodes of all trees.
func (f *Forest) Nodes() int { return len(f.Split) }

// Walk returns the node of a digit's tree that the digits before it lead to; digit [Forest.Digits] is
// the length tree. Where training never saw the next value, the walk stays at the inner node.
func (f *Forest) Walk(digit int, digits []uint8) int {
	node := f.Root[digit]
	for {
		split := f.Split[node]
		if split == Leaf {
			return int(node)
		}
		child := f.Child[f.Kids[node]+int32(digits[split])]
		if child == Leaf {
			return int(node)
		}
		node = child
	}
}

// Support returns the values that a node's training packets had, ascending, and their counts.
func (f *Forest) Support(node int) (values []uint16, counts []uint32) {
	lo, hi := f.First[node], f.First[node+1]
	return f.Value[lo:hi], f.Count[lo:hi]
}

// Dependent reports for each digit whether its order matters: its tree has a split, or another tree
// splits on it. The others can be drawn in one batch.
func (f *Forest) Dependent() []bool {
	dependent := make([]bool, f.Digits())
	for i := range dependent {
		if f.Split[f.Root[i]] != Leaf {
			dependent[i] = true
		}
	}
	for _, split := range f.Split {
		if split != Leaf {
			dependent[split] = true
		}
	}
	return dependent
}

// Free reports for each digit whether it has more than one possible value somewhere: what a
// generator has to decide at all.
func (f *Forest) Free() []bool {
	free := make([]bool, f.Digits())
	for i := range free {
		root := f.Root[i]
		free[i] = f.First[root+1]-f.First[root] > 1
	}
	return free
}

// valuesPerNode is the number of children of an inner node and of logits of a digit.
const valuesPerNode = encoding.Values
