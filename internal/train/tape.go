package train

import (
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/vec"
)

// compile writes the graph's tape: the ops that what is kept depends on, in an order in which each one's inputs come before
// it, and a place in memory for each one's output, which is used again once its last reader has run.
func (g *graph) compile(memory *scratch) {
	t := &compiler{graph: g, ops: map[*gorgonia.Node]*op{}, readers: map[*gorgonia.Node]int{}, memory: memory}
	for _, n := range g.kept {
		t.readers[n]++ // itself a reader, that never runs
	}
	for _, n := range g.nodes {
		if to := g.expr.To(n.ID()); to.Len() == 0 {
			t.readers[n]++
		}
	}
	for _, n := range slices.Concat(g.nodes, g.kept) { // those of differentiation come after what they are made from
		if t.readers[n] > 0 {
			t.visit(n)
		}
	}
	if len(t.order) == 0 {
		g.failf("build graph: there is nothing to compute")
	}
	memory.free = slices.Clone(memory.all)
	for _, n := range t.order {
		t.place(n)
	}
}

// compiler is a graph's compilation.
type compiler struct {
	*graph
	ops     map[*gorgonia.Node]*op
	order   gorgonia.Nodes
	readers map[*gorgonia.Node]int // ops that read a node's value and have not run
	memory  *scratch
}

// visit appends a node to the order, after those that it is computed from.
func (t *compiler) visit(n *gorgonia.Node) {
	if n.IsVar() || t.ops[n] != nil {
		return
	}
	t.ops[n] = t.opOf(n)
	for _, child := range t.children(n) {
		t.readers[child]++
		t.visit(child)
	}
	t.order = append(t.order, n)
}

// opOf is a node's op. The one kind that is not ours sums the gradients of a node with several readers.
func (t *compiler) opOf(n *gorgonia.Node) *op {
	if o, ok := n.Op().(*op); ok {
		return o
	}
	if !strings.HasPrefix(n.Op().String(), "+ ") {
		t.failf("gorgonia's op %v is not known here", n.Op())
	}
	rows, cols := dims(n)
	t.nextID++
	sum := t.each(func(out []float32, in [][]float32) { vec.Add(out, in[0], in[1]) })
	return &op{name: "sum of gradients", id: t.nextID, rows: rows, cols: cols, run: sum, inPlace: true}
}

func (t *compiler) children(n *gorgonia.Node) gorgonia.Nodes {
	var children gorgonia.Nodes
	for it := t.expr.From(n.ID()); it.Next(); {
		children = append(children, it.Node().(*gorgonia.Node))
	}
	return children
}

// place appends a node's op to the tape, and finds a place for its output.
func (t *compiler) place(n *gorgonia.Node) {
	o := t.ops[n]
	var done []*op // inputs that nobody reads any more
	for _, child := range t.children(n) {
		o.in = append(o.in, data(child.Value().(*tensor.Dense)))
		t.readers[child]--
		if t.readers[child] == 0 && t.ops[child] != nil {
			done = append(done, t.ops[child])
		}
	}
	aligned := func(in *op) bool { return o.inPlace && in.rows*in.cols == o.rows*o.cols }
	for _, in := range done {
		if aligned(in) {
			t.memory.free = append(t.memory.free, in.piece)
		}
	}
	t.bind(n, o)
	for _, in := range done {
		if !aligned(in) {
			t.memory.free = append(t.memory.free, in.piece)
		}
	}
	t.tape = append(t.tape, o)
}

// bind gives a node memory for its value.
func (t *compiler) bind(n *gorgonia.Node, o *op) {
	o.piece = t.memory.take(o.rows * o.cols)
	o.out = o.piece[:o.rows*o.cols]
	gorgonia.WithValue(tensor.New(tensor.WithShape(o.rows, o.cols), tensor.WithBacking(o.out)))(n)
}

// scratch is memory for the outputs of ops.
type scratch struct {
	all  [][]float32
	free [][]float32 // what holds no value that is still needed, the last used at the end
}

// take returns the smallest piece that is free and large enough, of equal ones the last used, which may still be in the caches; or
// a new one.
func (s *scratch) take(size int) []float32 {
	best := -1
	for i, piece := range s.free {
		if len(piece) >= size && (best < 0 || len(piece) <= len(s.free[best])) {
			best = i
		}
	}
	if best < 0 {
		s.all = append(s.all, make([]float32, size))
		return s.all[len(s.all)-1]
	}
	piece := s.free[best]
	s.free = slices.Delete(s.free, best, best+1)
	return piece
}
