package train

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/sgemm"
)

// graph builds one gorgonia expression graph out of ops, and computes it.
//
// Nodes are matrices; an image batch is [batch x height*width*channels] (NHWC), so that a convolution is im2col and
// one matrix product without transposes. Building panics with a buildError, which build turns into an error.
//
// gorgonia differentiates the graph; it is computed by the graph's own tape, since gorgonia's tape machine also
// computes gradients that nobody asked for, and holds every value until the end.
type graph struct {
	expr    *gorgonia.ExprGraph
	gemm    *sgemm.Context
	threads int
	nextID  int
	inputs  map[string]*gorgonia.Node
	nodes   gorgonia.Nodes // of ops that define asked for, not differentiation
	kept    gorgonia.Nodes
	derives bool // differentiation is under way
	tape    []*op

	products map[[2]*gorgonia.Node]*gorgonia.Node // of mulRows
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

// newGraph builds a graph by calling define and compiles it. After a run there are values of the gradients, of nodes that
// no other node reads, and of those that define gave to keep.
func newGraph(threads int, define func(g *graph)) (g *graph, err error) {
	return newGraphIn(&scratch{}, threads, define)
}

// newGraphIn is newGraph with values in memory that graphs share which run in turns: the next one to run overwrites
// what the last one computed.
func newGraphIn(memory *scratch, threads int, define func(g *graph)) (g *graph, err error) {
	defer catch(&err)
	g = &graph{
		expr: gorgonia.NewGraph(), gemm: &sgemm.Context{Threads: threads}, threads: threads,
		inputs: map[string]*gorgonia.Node{}, products: map[[2]*gorgonia.Node]*gorgonia.Node{},
	}
	define(g)
	g.compile(memory)
	return g, nil
}

// run computes the graph from the values that its inputs hold now.
func (g *graph) run(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var o *op
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("run graph: %v: %v", o, r)
		}
	}()
	for _, o = range g.tape {
		o.run(o.out, o.in)
	}
	return nil
}

// keep has a node's value kept until the end of a run, although other nodes read it.
func (g *graph) keep(n *gorgonia.Node) *gorgonia.Node {
	g.kept = append(g.kept, n)
	return n
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
	return g.attach(&op{name: name, rows: rows, cols: cols, diff: diff, run: run, pull: pull}, in...)
}

// elementwise is apply for ops whose output may lie where an input does.
func (g *graph) elementwise(name string, rows, cols int, diff []bool, run kernel, pull pullback, in ...*gorgonia.Node) *gorgonia.Node {
	return g.attach(&op{name: name, rows: rows, cols: cols, diff: diff, run: run, pull: pull, inPlace: true}, in...)
}

func (g *graph) attach(o *op, in ...*gorgonia.Node) *gorgonia.Node {
	g.nextID++
	o.id = g.nextID
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		panic(buildError{fmt.Errorf("%v: %w", o, err)})
	}
	if !g.derives {
		g.nodes = append(g.nodes, n)
	}
	return n
}

// gradients returns d(sum of loss)/d(each of wrt) as nodes. It may be called once a graph: gorgonia reuses the
// derivatives of an earlier call without saying so.
func (g *graph) gradients(loss *gorgonia.Node, wrt gorgonia.Nodes) gorgonia.Nodes {
	rows, cols := dims(loss)
	one := newMatrix(rows, cols)
	fill(data(one), 1)
	g.derives = true
	defer func() { g.derives = false }()
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{g.input("dloss", one)}, wrt)
	if err != nil {
		panic(buildError{fmt.Errorf("differentiate: %w", err)})
	}
	g.kept = append(g.kept, grads...)
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

// numberOf returns what the [1 x 1] node n held after the last run.
func numberOf(n *gorgonia.Node) (float32, error) {
	v, err := valueOf(n)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}
