package train

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
)

// decoder is the end of recipe gan's generator: it draws each digit from its logits, left to right, since a digit's
// tree leads to a node by the digits before it, and writes the packet as the critic's matrix.
//
// Drawing has no gradient, so it is given the straight-through Gumbel one (Jang et al., 2016, temperature 1): forward
// the drawn digit's value, backward the derivative of the expected value sum_v p_v unit_v,
// p = softmax(logits + Gumbel noise):
//
//	d/dlogit_v = p_v (unit_v - sum_u p_u unit_u)
//
// that a digit decides on the nodes of later digits is not differentiated.
type decoder struct {
	forests  []model.Forest
	geometry encoding.Geometry
	unit     [digitValues]float32 // matrix value of each digit
	capacity int                  // digits
	prior    [][]float32          // [label][node*16 + value]: log prior
	row      [][]int32            // [label][node] row of theta, or -1 where a node has but one value
	rows     int                  // of theta

	labels []int  // [batch] what to draw
	seed   uint64 // of the noise; a new one for each run

	drawn []int32   // [batch*capacity] row of theta that was visited, or -1 where nothing was chosen
	slope []float32 // [batch*capacity*16] d unit / d logit
}

func newDecoder(forests []model.Forest, geometry encoding.Geometry, prior model.Prior, batch int) *decoder {
	d := &decoder{
		forests: forests, geometry: geometry, capacity: geometry.DigitsCapacity(), labels: make([]int, batch),
	}
	d.drawn = make([]int32, batch*d.capacity)
	d.slope = make([]float32, batch*d.capacity*digitValues)
	for v := range d.unit {
		d.unit[v] = geometry.ToUnit(geometry.Spread(uint8(v)))
	}
	for i := range forests {
		f := &forests[i]
		prior, row := d.gateOf(f, prior)
		d.prior, d.row = append(d.prior, prior), append(d.row, row)
	}
	return d
}

// gateOf returns the log prior of each node of the digits' trees, and where a node has a choice its row of theta.
func (d *decoder) gateOf(f *model.Forest, p model.Prior) (prior []float32, row []int32) {
	nodes := int(f.Root[f.Digits()]) // the length tree comes last, and is not trained
	prior, row = make([]float32, nodes*digitValues), make([]int32, nodes)
	for n := range nodes {
		p.LogPrior(prior[n*digitValues:(n+1)*digitValues], f, n)
		row[n] = -1
		if values, _ := f.Support(n); len(values) > 1 {
			row[n] = int32(d.rows)
			d.rows++
		}
	}
	return prior, row
}

// decode draws packets from logits [batch x capacity*16] (without prior and theta) and theta [rows x 16], and returns
// their matrices [batch x n*n], -1..1.
func (d *decoder) decode(g *graph, logits, theta *gorgonia.Node) *gorgonia.Node {
	batch := len(d.labels)
	g.want("logits", logits, batch, d.capacity*digitValues)
	g.want("theta", theta, max(d.rows, 1), digitValues)
	run := func(out []float32, in [][]float32) {
		fill(out, d.geometry.ToUnit(0))
		clear(d.slope)
		fill(d.drawn, -1)
		parallel(g.threads, batch, len(in[0]), func(lo, hi int) {
			for b := lo; b < hi; b++ {
				d.draw(b, in[0], in[1], out)
			}
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		dlogits := d.logitGrad(g, dout)
		return gorgonia.Nodes{dlogits, d.thetaGrad(g, dlogits)}
	}
	return g.apply("decode", batch, d.geometry.Elements(), []bool{true, true}, run, pull, logits, theta)
}

// draw decodes packet b: digits up to the shortest packet's end, the length, and the digits that are left.
func (d *decoder) draw(b int, logits, theta, out []float32) {
	label := d.labels[b]
	f := &d.forests[label]
	rng := rand.New(rand.NewPCG(d.seed, uint64(b)))
	logits = logits[b*d.capacity*digitValues:]
	out = out[b*d.geometry.Elements() : (b+1)*d.geometry.Elements()]
	digits := make([]uint8, f.Digits())
	end := 2 * f.MinLen
	for i := 0; i < end; i++ {
		node := f.Walk(i, digits)
		values, _ := f.Support(node)
		choice := values[0]
		if row := d.row[label][node]; row >= 0 {
			at := b*d.capacity + i
			d.drawn[at] = row
			choice = d.choose(rng, values, logits[i*digitValues:], theta[row*digitValues:], d.prior[label][node*digitValues:],
				d.slope[at*digitValues:(at+1)*digitValues])
		}
		digits[i] = uint8(choice)
		d.fill(out, i, d.unit[choice])
		if i == 2*f.MinLen-1 {
			end = 2 * drawLength(rng, f, digits)
		}
	}
}

// choose draws one of values by its logit, and sets slope to the derivative of the digit's expected matrix value.
func (d *decoder) choose(rng *rand.Rand, values []uint16, logits, theta, prior, slope []float32) uint16 {
	var (
		noisy [digitValues]float64
		best  = values[0]
		top   = math.Inf(-1)
	)
	for _, v := range values {
		gumbel := -math.Log(rng.ExpFloat64())
		noisy[v] = float64(prior[v]+model.ThetaScale*theta[v]+logits[v]) + gumbel
		if noisy[v] > top {
			best, top = v, noisy[v]
		}
	}
	var total, mean float64
	for _, v := range values {
		noisy[v] = math.Exp(noisy[v] - top)
		total += noisy[v]
		mean += noisy[v] * float64(d.unit[v])
	}
	mean /= total
	for _, v := range values {
		slope[v] = float32(noisy[v] / total * (float64(d.unit[v]) - mean))
	}
	return best
}

// drawLength draws a packet's length in bytes from the length tree, by its counts.
func drawLength(rng *rand.Rand, f *model.Forest, digits []uint8) int {
	values, counts := f.Support(f.Walk(f.Digits(), digits))
	var total uint32
	for _, c := range counts {
		total += c
	}
	at := rng.Uint32N(total)
	for i, c := range counts {
		if at < c {
			return int(values[i])
		}
		at -= c
	}
	return int(values[len(values)-1])
}

// logitGrad returns d/dlogits [batch x capacity*16]: slope times the gradient summed over the digit's block.
func (d *decoder) logitGrad(g *graph, dout *gorgonia.Node) *gorgonia.Node {
	batch := len(d.labels)
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(out), func(lo, hi int) {
			for b := lo; b < hi; b++ {
				d.logitGradOf(b, out, in[0][b*d.geometry.Elements():])
			}
		})
	}
	return g.apply("decode dlogits", batch, d.capacity*digitValues, []bool{false}, run, nil, dout)
}

func (d *decoder) logitGradOf(b int, out, dout []float32) {
	for i := range d.capacity {
		at := b*d.capacity + i
		grad := out[at*digitValues : (at+1)*digitValues]
		if d.drawn[at] < 0 {
			clear(grad)
			continue
		}
		dunit := d.blockSum(dout, i)
		for v := range grad {
			grad[v] = dunit * d.slope[at*digitValues+v]
		}
	}
}

// thetaGrad returns d/dtheta [rows x 16]: each visited row's logit gradients, summed.
func (d *decoder) thetaGrad(g *graph, dlogits *gorgonia.Node) *gorgonia.Node {
	run := func(out []float32, in [][]float32) {
		clear(out)
		for at, row := range d.drawn {
			if row < 0 {
				continue
			}
			grad := out[int(row)*digitValues : int(row+1)*digitValues]
			for v := range grad {
				grad[v] += model.ThetaScale * in[0][at*digitValues+v]
			}
		}
	}
	return g.apply("decode dtheta", max(d.rows, 1), digitValues, []bool{false}, run, nil, dlogits)
}

// fill writes v to a digit's block.
func (d *decoder) fill(matrix []float32, digit int, v float32) {
	row, col := d.geometry.Block(digit)
	for r := row; r < row+d.geometry.D; r++ {
		fill(matrix[r*d.geometry.N+col:r*d.geometry.N+col+d.geometry.D], v)
	}
}

// blockSum returns the sum of a digit's block.
func (d *decoder) blockSum(matrix []float32, digit int) float32 {
	row, col := d.geometry.Block(digit)
	var s float32
	for r := row; r < row+d.geometry.D; r++ {
		for _, v := range matrix[r*d.geometry.N+col : r*d.geometry.N+col+d.geometry.D] {
			s += v
		}
	}
	return s
}
