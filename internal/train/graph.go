package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/sgemm"
)

// graph builds one gorgonia expression graph out of ops and runs it on a tape machine.
//
// Nodes are matrices; an image batch is [batch x height*width*channels] (NHWC), so that a convolution is im2col and
// one matrix product without transposes. Building panics with a buildError, which build turns into an error.
type graph struct {
	scratch *scratch
	expr    *gorgonia.ExprGraph
	gemm    *sgemm.Context
	threads int
	nextID  int
	machine gorgonia.VM
	inputs  map[string]*gorgonia.Node
}

// buildError is what building a graph panics with: shapes that do not fit, or gorgonia's refusal.
type buildError struct{ err error }

// catch turns a panic while building a graph into an error: our own, or gorgonia's, which panics freely.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case buildError:
		*err = r.err
	default:
		*err = fmt.Errorf("build graph: %v", r)
	}
}

// newGraph builds a graph by calling define and compiles it; keep are the nodes whose values are read afterwards.
func newGraph(threads int, define func(g *graph)) (g *graph, err error) {
	return newGraphIn(&scratch{}, threads, define)
}

// newGraphIn is newGraph with outputs in memory that graphs share which run in turns: the next one to run overwrites
// what the last one computed.
func newGraphIn(memory *scratch, threads int, define func(g *graph)) (g *graph, err error) {
	defer catch(&err)
	memory.free = slices.Clone(memory.all)
	g = &graph{
		scratch: memory, expr: gorgonia.NewGraph(), gemm: &sgemm.Context{Threads: threads}, threads: threads,
		inputs: map[string]*gorgonia.Node{},
	}
	define(g)
	g.machine = gorgonia.NewTapeMachine(g.expr)
	return g, nil
}

// run computes every node of the graph from the values that its inputs hold now.
func (g *graph) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.machine.Reset() // without it a second RunAll does nothing and returns nil
	if err := g.machine.RunAll(); err != nil {
		return fmt.Errorf("run graph: %w", err)
	}
	return nil
}

// scratch is memory for the outputs of ops.
type scratch struct {
	all  [][]float32
	free [][]float32 // what the graph that is being built does not use yet
}

// matrix returns a matrix in the smallest piece of memory that is free and large enough, or in a new one.
func (s *scratch) matrix(rows, cols int) *tensor.Dense {
	best := -1
	for i, piece := range s.free {
		if len(piece) >= rows*cols && (best < 0 || len(piece) < len(s.free[best])) {
			best = i
		}
	}
	if best < 0 {
		s.all = append(s.all, make([]float32, rows*cols))
		return tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(s.all[len(s.all)-1]))
	}
	piece := s.free[best][:rows*cols]
	s.free = slices.Delete(s.free, best, best+1)
	return tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(piece))
}

// input returns the node that reads t each time the graph runs; the same name gives the same node.
func (g *graph) input(name string, t *tensor.Dense) *gorgonia.Node {
	if n, ok := g.inputs[name]; ok {
		if n.Value() != gorgonia.Value(t) {
			g.failf("two inputs are named %q", name) // gorgonia would merge them silently
		}
		return n
	}
	n := gorgonia.NewMatrix(g.expr, tensor.Float32, gorgonia.WithName(name), gorgonia.WithShape(t.Shape()...),
		gorgonia.WithValue(t))
	g.inputs[name] = n
	return n
}

// apply adds an op with the given output shape and one gradient flag for each input.
func (g *graph) apply(name string, rows, cols int, diff []bool, run kernel, pull pullback, in ...*gorgonia.Node) *gorgonia.Node {
	g.nextID++
	o := &op{
		name: name, id: g.nextID, rows: rows, cols: cols, diff: diff, run: run, pull: pull,
		out: g.scratch.matrix(rows, cols), in: make([][]float32, len(in)),
	}
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		panic(buildError{fmt.Errorf("%v: %w", o, err)})
	}
	return n
}

// gradients returns d(sum of loss)/d(each of wrt) as nodes. It may be called once a graph: gorgonia reuses the
// derivatives of an earlier call without saying so.
func (g *graph) gradients(loss *gorgonia.Node, wrt gorgonia.Nodes) gorgonia.Nodes {
	rows, cols := dims(loss)
	one := newMatrix(rows, cols)
	fill(data(one), 1)
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{g.input("dloss", one)}, wrt)
	if err != nil {
		panic(buildError{fmt.Errorf("differentiate: %w", err)})
	}
	return grads
}

// failf reports a graph that cannot be built.
func (g *graph) failf(format string, args ...any) { panic(buildError{fmt.Errorf(format, args...)}) }

// want fails the build unless n is a rows x cols matrix.
func (g *graph) want(what string, n *gorgonia.Node, rows, cols int) {
	if r, c := dims(n); r != rows || c != cols {
		g.failf("%s is %d x %d, want %d x %d", what, r, c, rows, cols)
	}
}

// dims returns a node's rows and columns.
func dims(n *gorgonia.Node) (rows, cols int) { return n.Shape()[0], n.Shape()[1] }

// valueOf returns what n held after the last run.
func valueOf(n *gorgonia.Node) ([]float32, error) {
	if n.Value() == nil {
		return nil, errors.New("node has no value: run its graph first")
	}
	v, ok := n.Value().Data().([]float32)
	if !ok {
		return nil, fmt.Errorf("node holds %T, want []float32", n.Value().Data())
	}
	return v, nil
}
