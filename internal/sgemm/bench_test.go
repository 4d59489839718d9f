package sgemm

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
)

// shapes are what training multiplies, from im2col'd convolutions and fully connected layers.
var shapes = []struct {
	transA, transB bool
	m, n, k        int
}{
	{false, false, 12544, 64, 16},
	{false, false, 12544, 64, 128},
	{false, false, 12544, 64, 1024},
	{false, false, 3136, 128, 1024},
	{false, false, 3136, 1024, 256},
	{false, false, 12544, 512, 64},
	{false, true, 12544, 16, 64},
	{false, true, 3136, 1024, 128},
	{false, true, 3136, 256, 1024},
	{true, false, 16, 64, 12544},
	{true, false, 1024, 128, 3136},
	{true, false, 256, 1024, 3136},
	{false, false, 64, 1024, 6272},
	{false, true, 64, 6272, 1024},
	{true, false, 6272, 1024, 64},
	{true, false, 64, 1024, 6272},
	{false, false, 32, 12544, 1024},
	{false, false, 64, 12544, 1024},
	{false, true, 64, 1024, 12544},
	{true, false, 1024, 12544, 64},
	{true, true, 500, 500, 500},
	{false, false, 1024, 1024, 1024},
}

// BenchmarkGemm compares with gonum's blas32 on the shapes of training.
func BenchmarkGemm(b *testing.B) {
	for _, s := range shapes {
		lda, ldb := pick(s.transA, s.m, s.k), pick(s.transB, s.k, s.n)
		x, y, z := ramp(s.m*s.k), ramp(s.k*s.n), make([]float32, s.m*s.n)
		var ctx Context
		p := problem{s.transA, s.transB, s.m, s.n, s.k, 1, 0, x, y, z, lda, ldb, s.n, false}
		for name, gemm := range map[string]func(){
			"sgemm":    func() { ctx.Gemm(s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n) },
			"portable": func() { ctx.solve(p) },
			"gonum": func() {
				blas32.Implementation().Sgemm(flag(s.transA), flag(s.transB), s.m, s.n, s.k, 1, x, lda, y, ldb, 0, z, s.n)
			},
		} {
			b.Run(fmt.Sprintf("%s%dx%dx%d/impl=%s", transposes(s.transA, s.transB), s.m, s.n, s.k, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					gemm()
				}
				products := float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N)
				b.ReportMetric(2*products/b.Elapsed().Seconds()/1e9, "GFLOPS")
			})
		}
	}
}

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%97)*0.01 - 0.5
	}
	return x
}
