package train

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// op is a gorgonia operation on float32 matrices. Its gradient is made of other ops, so graphs built from ops can be
// differentiated again.
type op struct {
	name       string
	id         int // no two nodes of a graph merge: gorgonia tells ops apart by their hash alone
	rows, cols int // of the output
	diff       []bool
	run        kernel
	pull       pullback
	inPlace    bool // the output may lie where an input does that nobody else reads

	// Set when its graph is compiled.
	out, piece []float32 // piece begins with out
	in         [][]float32
}

// kernel computes an op's output from its inputs; both are row-major. What the output holds when called is anything.
type kernel func(out []float32, in [][]float32)

// pullback returns the gradient with respect to each input, nil where there is none, given the output's gradient.
type pullback func(in gorgonia.Nodes, out, grad *gorgonia.Node) gorgonia.Nodes

var (
	_ gorgonia.SDOp = (*op)(nil)
	// matrixType is the type of every node: a matrix of float32.
	matrixType = gorgonia.TensorType{Dims: 2, Of: tensor.Float32}
)

// Arity implements gorgonia.Op.
func (o *op) Arity() int { return len(o.diff) }

// Type implements gorgonia.Op: matrices to a matrix.
func (o *op) Type() hm.Type {
	ts := make([]hm.Type, len(o.diff)+1)
	for i := range ts {
		ts[i] = matrixType
	}
	return hm.NewFnType(ts...)
}

// InferShape implements gorgonia.Op; the shape is fixed when the graph is built.
func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{o.rows, o.cols}, nil
}

// Do implements gorgonia.Op; it is graph.run that runs ops.
func (o *op) Do(...gorgonia.Value) (gorgonia.Value, error) {
	return nil, fmt.Errorf("%v is run by its graph alone", o)
}

// ReturnsPtr implements gorgonia.Op.
func (o *op) ReturnsPtr() bool { return true }

// CallsExtern implements gorgonia.Op.
func (o *op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: never.
func (o *op) OverwritesInput() int { return -1 }

// WriteHash implements gorgonia.Op.
func (o *op) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%s#%d", o.name, o.id) }

// Hashcode implements gorgonia.Op.
func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) String() string { return fmt.Sprintf("%s#%d [%d x %d]", o.name, o.id, o.rows, o.cols) }

// DiffWRT implements gorgonia.SDOp.
func (o *op) DiffWRT(int) []bool { return o.diff }

// SymDiff implements gorgonia.SDOp.
func (o *op) SymDiff(in gorgonia.Nodes, out, grad *gorgonia.Node) (grads gorgonia.Nodes, err error) {
	if o.pull == nil {
		return nil, fmt.Errorf("%v has no gradient", o)
	}
	defer catch(&err)
	return o.pull(in, out, grad), nil
}

// data returns a matrix's backing slice.
func data(t *tensor.Dense) []float32 { return t.Data().([]float32) }

// newMatrix returns a matrix of zeros.
func newMatrix(rows, cols int) *tensor.Dense {
	return tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(rows, cols))
}
