// Package sgemm multiplies single-precision row-major matrices without cgo:
//
//	C = alpha * op(A) * op(B) + beta * C,  op(X) = X or Xᵀ
//
// It is what the convolutions of training spend their time in. It is no BLAS: there is this one
// operation, and one storage order.
package sgemm

import (
	"fmt"
	"sync"
)

// Context multiplies with its own packing buffers, so that a call allocates nothing once it has
// seen a shape of that size. The zero value is ready and uses one thread. A Context must not be
// used by two goroutines at once; several contexts may run side by side.
type Context struct {
	// Threads is the number of goroutines a call may use; less than one means one. The result
	// does not depend on it: work is split over rows or columns of C, never over the sum.
	Threads int
	w       worker
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
	if m <= 0 || n <= 0 {
		return
	}
	mustHold("C", c, m, n, ldc)
	if k <= 0 || alpha == 0 {
		scale(m, n, beta, c, ldc)
		return
	}
	mustHold("A", a, pick(transA, k, m), pick(transA, m, k), lda)
	mustHold("B", b, pick(transB, n, k), pick(transB, k, n), ldb)
	ctx.w.problem = problem{transA, transB, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc, hasVector()}
	ctx.w.run()
}

// scale sets C to beta*C.
func scale(m, n int, beta float32, c []float32, ldc int) {
	if beta == 1 {
		return
	}
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
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
