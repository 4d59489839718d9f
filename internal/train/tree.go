package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// maxPacket is the longest packet that trees are grown for: IPv4's longest (RFC 791).
const maxPacket = 1<<16 - 1

// FitTrees grows the digit trees of one label from its packets (recipe tree, and the gate of recipe
// gan). A tree for each digit i is a multiway decision tree over the digits j < i. With
//
//	L_a(n)   = sum over s = 0..n-1 of ln(a + s)
//	ML(node) = sum over t of L_{1/k}(n_t) - L_1(m),  k values of digit i in the node, n_t their counts, m their sum
//
// a node splits on the j with the largest sum over its children of ML(child), the children with the
// node's k, if that exceeds ML(node); the first such j where several are equal. It gets one child for
// each value of j seen in it; there is no depth limit and no constant to tune. ML is the logarithm of
// the probability of the node's sequence of values under a Dirichlet prior of one pseudo-count in
// all, so a split has to pay for its children.
//
// What the packets' different lengths mean to the trees is said at [model.Forest]. The trees do not
// depend on the order of the packets, nor on threads, the number of goroutines to grow with (less
// than one means one). A cancelled ctx ends the work with its error.
func FitTrees(ctx context.Context, packets [][]byte, threads int) (*model.Forest, error) {
	table, err := newDigitTable(packets)
	if err != nil {
		return nil, fmt.Errorf("fit trees: %w", err)
	}
	trees := make([]tree, len(table.columns)+1)
	group, growing := errgroup.WithContext(ctx)
	group.SetLimit(max(threads, 1))
	pool := make(chan *grower, max(threads, 1))
	for range cap(pool) {
		pool <- newGrower(table)
	}
	for i := range slices.Backward(trees) { // the later, the more digits to choose from
		if growing.Err() != nil {
			break
		}
		group.Go(func() error {
			g := <-pool
			defer func() { pool <- g }()
			var err error
			trees[i], err = g.growTree(growing, i)
			return err
		})
	}
	if err := cmp.Or(group.Wait(), ctx.Err()); err != nil {
		return nil, fmt.Errorf("fit trees: %w", err)
	}
	return plant(trees, table.minLen), nil
}

// digitTable is the packets' digits by column, the longest packet first, so that the packets which
// have a digit are the first of its column.
type digitTable struct {
	columns [][]uint8 // [digit][packet]
	minLen  int       // bytes of the shortest packet
	lengths []uint16  // the distinct lengths in bytes, ascending
	length  []uint16  // [packet] index of its length in lengths
	logs    logTable
}

func newDigitTable(packets [][]byte) (*digitTable, error) {
	if len(packets) == 0 {
		return nil, errors.New("no packets")
	}
	sorted := slices.SortedStableFunc(slices.Values(packets), func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	longest, shortest := len(sorted[0]), len(sorted[len(sorted)-1])
	if longest > maxPacket {
		return nil, fmt.Errorf("packet of %d bytes: the longest IPv4 packet has %d", longest, maxPacket)
	}
	t := &digitTable{columns: make([][]uint8, 2*longest), minLen: shortest, logs: newLogTable(len(packets))}
	reach := len(sorted)
	for b := range longest {
		for len(sorted[reach-1]) <= b {
			reach--
		}
		high, low := make([]uint8, reach), make([]uint8, reach)
		for p, packet := range sorted[:reach] {
			high[p], low[p] = packet[b]>>4, packet[b]&15
		}
		t.columns[2*b], t.columns[2*b+1] = high, low
	}
	t.lengths = distinctLengths(sorted)
	for _, p := range sorted {
		i, _ := slices.BinarySearch(t.lengths, uint16(len(p)))
		t.length = append(t.length, uint16(i))
	}
	return t, nil
}

// distinctLengths returns the lengths of packets, the longest first, in ascending order.
func distinctLengths(packets [][]byte) []uint16 {
	var lengths []uint16
	for _, p := range slices.Backward(packets) {
		lengths = append(lengths, uint16(len(p)))
	}
	return slices.Compact(lengths)
}

// tree is one grown tree, its nodes numbered from 0; the fields are those of [model.Forest].
type tree struct {
	split, kids, child, first []int32
	value                     []uint16
	count                     []uint32
}

// plant joins the trees into a forest.
func plant(trees []tree, minLen int) *model.Forest {
	f := &model.Forest{MinLen: minLen}
	for _, t := range trees {
		node, kid, value := int32(len(f.Split)), int32(len(f.Child)), int32(len(f.Value))
		f.Root = append(f.Root, node)
		f.Split = append(f.Split, t.split...)
		f.Kids = appendShifted(f.Kids, t.kids, kid)
		f.Child = appendShifted(f.Child, t.child, node)
		f.First = appendShifted(f.First, t.first, value)
		f.Value = append(f.Value, t.value...)
		f.Count = append(f.Count, t.count...)
	}
	f.First = append(f.First, int32(len(f.Value)))
	return f
}

// appendShifted appends indices moved by offset; model.Leaf stays.
func appendShifted(dst, src []int32, offset int32) []int32 {
	for _, x := range src {
		if x != model.Leaf {
			x += offset
		}
		dst = append(dst, x)
	}
	return dst
}

// digitValues is the number of children of an inner node.
const digitValues = encoding.Values
