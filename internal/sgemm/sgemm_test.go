package sgemm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
)

func TestEdges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var ctx Context
	for n := range 20000 {
		m, n, k := rng.IntN(50), rng.IntN(50), rng.IntN(50)+n%50/49*rng.IntN(700)
		ta, tb := rng.IntN(2) == 1, rng.IntN(2) == 1
		lda, ldb, ldc := max(1, pick(ta, m, k))+rng.IntN(5), max(1, pick(tb, k, n))+rng.IntN(5), max(1, n)+rng.IntN(5)
		a, b, c := random(rng, (m+k)*lda), random(rng, (n+k)*ldb), random(rng, m*ldc+1)
		want := append([]float32(nil), c...)
		alpha, beta := []float32{0, 1, .5, -1}[rng.IntN(4)], []float32{0, 1, .5, -1}[rng.IntN(4)]
		ctx.Gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
		blas32.Implementation().Sgemm(flag(ta), flag(tb), m, n, k, alpha, a, lda, b, ldb, beta, want, ldc)
		for i := range c {
			if d := c[i] - want[i]; !(d*d < 1e-8*float32(k+1)) {
				t.Fatal(fmt.Sprint(ta, tb, " ", m, n, k, alpha, beta, " at ", i/ldc, i%ldc, c[i], want[i]))
			}
		}
	}
}

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = rng.Float32()*2 - 1
	}
	return x
}
