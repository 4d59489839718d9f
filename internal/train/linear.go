package train

import (
	"gorgonia.org/gorgonia"

	"pacgan-appliance/internal/vec"
)

// product describes C = op(A) op(B), C being m x n and the sum over k terms. Its matrices need not have the shape of
// the nodes that hold them, only their size: [batch x h*w*c] is [batch*h*w x c].
type product struct {
	transA, transB bool
	m, n, k        int
}

// matmul returns op(a) op(b), held as rows x cols.
func (g *graph) matmul(p product, a, b *gorgonia.Node, rows, cols int) *gorgonia.Node {
	if size(a) != p.m*p.k || size(b) != p.k*p.n || rows*cols != p.m*p.n {
		g.failf("product %+v of %v and %v values into %d x %d", p, a.Shape(), b.Shape(), rows, cols)
	}
	return g.apply("matmul", rows, cols, []bool{true, true}, g.gemmKernel(p), g.matmulGrad(p), a, b)
}

// gemmKernel returns the kernel that multiplies the first two inputs.
func (g *graph) gemmKernel(p product) kernel {
	lda, ldb := p.k, p.n
	if p.transA {
		lda = p.m
	}
	if p.transB {
		ldb = p.k
	}
	return func(out []float32, in [][]float32) {
		g.gemm.Gemm(p.transA, p.transB, p.m, p.n, p.k, 1, in[0], lda, in[1], ldb, 0, out, p.n)
	}
}

// matmulGrad: with C = A B, dA = dC Bᵀ and dB = Aᵀ dC; where an operand is transposed, so is its gradient.
func (g *graph) matmulGrad(p product) pullback {
	return func(in gorgonia.Nodes, _, dc *gorgonia.Node) gorgonia.Nodes {
		a, b := in[0], in[1]
		ar, ac := dims(a)
		br, bc := dims(b)
		var da, db *gorgonia.Node
		if p.transA {
			da = g.matmul(product{p.transB, true, p.k, p.m, p.n}, b, dc, ar, ac) // op(B) dCᵀ
		} else {
			da = g.matmul(product{false, !p.transB, p.m, p.k, p.n}, dc, b, ar, ac) // dC op(B)ᵀ
		}
		if p.transB {
			db = g.matmul(product{true, p.transA, p.n, p.k, p.m}, dc, a, br, bc) // dCᵀ op(A)
		} else {
			db = g.matmul(product{!p.transA, false, p.k, p.n, p.m}, a, dc, br, bc) // op(A)ᵀ dC
		}
		return gorgonia.Nodes{da, db}
	}
}

// window is the geometry of a convolution: a large image h x w x c, seen by oh*ow windows of size x size, stride
// apart; pad rows and columns of zeros lie before the image.
type window struct {
	h, w, c, size, stride, pad int
	oh, ow                     int
}

// short lines are worked on value by value: that takes less time than the call of what does several at once.
const short = 8

// cols returns the values of one window.
func (v window) cols() int { return v.size * v.size * v.c }

// im2col writes each window of x [batch x h*w*c] as a row: [batch*oh*ow x size*size*c].
func (g *graph) im2col(v window, x *gorgonia.Node) *gorgonia.Node {
	batch, _ := dims(x)
	g.want("im2col's image", x, batch, v.h*v.w*v.c)
	rows := v.oh * v.ow
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(out), func(lo, hi int) {
			for b := lo; b < hi; b++ {
				v.gather(out[b*rows*v.cols():], in[0][b*v.h*v.w*v.c:])
			}
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.col2im(v, dout)}
	}
	return g.apply("im2col", batch*rows, v.cols(), []bool{true}, run, pull, x)
}

// col2im is im2col's transpose: each image value is the sum of its copies in the windows.
func (g *graph) col2im(v window, cols *gorgonia.Node) *gorgonia.Node {
	rows := v.oh * v.ow
	r, _ := dims(cols)
	batch := r / rows
	g.want("col2im's windows", cols, batch*rows, v.cols())
	run := func(out []float32, in [][]float32) {
		parallel(g.threads, batch, len(in[0]), func(lo, hi int) {
			for b := lo; b < hi; b++ {
				image := out[b*v.h*v.w*v.c : (b+1)*v.h*v.w*v.c]
				clear(image)
				v.scatter(image, in[0][b*rows*v.cols():])
			}
		})
	}
	pull := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{g.im2col(v, dout)}
	}
	return g.apply("col2im", batch, v.h*v.w*v.c, []bool{true}, run, pull, cols)
}

// gather copies the windows of one image to rows; what lies outside the image is 0.
func (v window) gather(rows, image []float32) {
	line := v.size * v.c
	for oy := range v.oh {
		for ox := range v.ow {
			for ky := range v.size {
				dst := rows[:line]
				rows = rows[line:]
				from, to, at := v.line(oy*v.stride+ky-v.pad, ox*v.stride-v.pad)
				if line <= short {
					for i := range dst[:from] {
						dst[i] = 0
					}
					for i, x := range image[at : at+to-from] {
						dst[from+i] = x
					}
					for i := to; i < line; i++ {
						dst[i] = 0
					}
					continue
				}
				clear(dst[:from])
				copy(dst[from:to], image[at:])
				clear(dst[to:])
			}
		}
	}
}

// scatter adds rows to the windows of one image.
func (v window) scatter(image, rows []float32) {
	line := v.size * v.c
	for oy := range v.oh {
		for ox := range v.ow {
			for ky := range v.size {
				src := rows[:line]
				rows = rows[line:]
				from, to, at := v.line(oy*v.stride+ky-v.pad, ox*v.stride-v.pad)
				dst := image[at : at+to-from]
				if line <= short {
					for i, x := range src[from:to] {
						dst[i] += x
					}
					continue
				}
				vec.Add(dst, dst, src[from:to])
			}
		}
	}
}

// line returns which part [from, to) of a window's line at image row y, column x lies inside the image, and where
// in the image it starts.
func (v window) line(y, x int) (from, to, at int) {
	if y < 0 || y >= v.h {
		return 0, 0, 0
	}
	first, last := max(x, 0), min(x+v.size, v.w)
	return (first - x) * v.c, (last - x) * v.c, (y*v.w + first) * v.c
}

// size returns the number of values a node holds.
func size(n *gorgonia.Node) int { return n.Shape().TotalSize() }
