// Package sgemm multiplies single-precision row-major matrices without cgo:
//
//	C = alpha * op(A) * op(B) + beta * C,  op(X) = X or Xᵀ
//
// It is what the convolutions of training spend their time in. It is no BLAS: there is this one
// operation, and one storage order.
//
// The method is that of K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", ACM TOMS 34 (2008): blocks of the operands are copied ("packed") so that a
// kernel, which holds a tile of C in registers, reads them from the caches in order. Processors
// with AVX2 and FMA have kernels in assembly; elsewhere plain Go computes the same sums, which
// differ in rounding only.
package sgemm

import (
	"fmt"
	"sync"
)

// A problem is one C = alpha * op(A) * op(B) + beta * C, where C is m x n and the sums are k
// products long. See [Context.Gemm].
type problem struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32
	lda, ldb, ldc  int
	vector         bool // use the kernels in assembly
}

var contexts = sync.Pool{New: func() any { return new(Context) }}

// Gemm is [Context.Gemm] on one thread, with a context borrowed for the call. Safe for
// concurrent use, as long as no two calls write the same C.
func Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	ctx := contexts.Get().(*Context)
	ctx.Gemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	contexts.Put(ctx)
}

// Gemm computes C = alpha * op(A) * op(B) + beta * C, where C is m x n, op(A) is m x k and op(B)
// is k x n. The matrices are stored by rows: element (i, j) of X is x[i*ldx+j]; with transA, A is
// stored as its transpose (k x m), and so is B with transB (n x k). Values between the width of a
// row and ldx are neither read nor written. C must not overlap A or B.
//
// beta = 0 overwrites C, whatever it held (NaN too); alpha = 0 or k = 0 leaves A and B unread.
// No rows or no columns: nothing is done.
//
// Like an index out of range, a slice too short for its shape, or a stride smaller than a row's
// width, is a programming error and panics, before anything is written.
func (ctx *Context) Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	ctx.solve(problem{transA, transB, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc, hasVector()})
}

func (ctx *Context) solve(p problem) {
	if p.m <= 0 || p.n <= 0 {
		return
	}
	mustHold("C", p.c, p.m, p.n, p.ldc)
	if p.k <= 0 || p.alpha == 0 {
		p.scale()
		return
	}
	mustHold("A", p.a, pick(p.transA, p.k, p.m), pick(p.transA, p.m, p.k), p.lda)
	mustHold("B", p.b, pick(p.transB, p.n, p.k), pick(p.transB, p.k, p.n), p.ldb)
	ctx.share(p)
}

// scale sets C = beta * C.
func (p *problem) scale() {
	for i := range p.m {
		row := p.c[i*p.ldc:][:p.n]
		if p.beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= p.beta
		}
	}
}

// rows is the part of the problem that yields n rows of C from i on.
func (p problem) rows(i, n int) problem {
	p.a, p.c, p.m = p.a[pick(p.transA, i, i*p.lda):], p.c[i*p.ldc:], n
	return p
}

// columns is the part of the problem that yields n columns of C from j on.
func (p problem) columns(j, n int) problem {
	p.b, p.c, p.n = p.b[pick(p.transB, j*p.ldb, j):], p.c[j:], n
	return p
}

// mustHold panics unless x holds rows of cols values at a distance of ld.
func mustHold(name string, x []float32, rows, cols, ld int) {
	if len(x) < cols || rows > 1 && (ld < cols || (len(x)-cols)/ld < rows-1) {
		panic(fmt.Sprintf("sgemm: %s has %d values, too few for %d rows of %d at stride %d", name, len(x), rows, cols, ld))
	}
}

func pick(yes bool, a, b int) int {
	if yes {
		return a
	}
	return b
}
