package sgemm

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
)

type shape struct {
	transA, transB bool
	m, n, k        int
}

// shapes are what training multiplies, from im2col'd convolutions and fully connected layers.
var shapes = []shape{
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

// BenchmarkGemm compares with gonum's blas32 on the shapes of training. Run it with -cpu 1: gonum
// uses every processor that it may.
func BenchmarkGemm(b *testing.B) {
	for _, s := range shapes {
		p := s.problem()
		var ctx Context
		for _, impl := range []struct {
			name string
			gemm func()
		}{
			{"sgemm", func() { ctx.solve(p) }},
			{"gonum", func() {
				blas32.Implementation().Sgemm(flag(p.transA), flag(p.transB), p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
			}},
		} {
			name := fmt.Sprintf("%s%dx%dx%d/impl=%s", transposes(p.transA, p.transB), p.m, p.n, p.k, impl.name)
			b.Run(name, func(b *testing.B) { measure(b, p, impl.gemm) })
		}
	}
}

func BenchmarkPortable(b *testing.B) {
	p := shapes[3].problem()
	p.vector = false
	var ctx Context
	measure(b, p, func() { ctx.solve(p) })
}

func BenchmarkThreads(b *testing.B) {
	p := shapes[3].problem()
	for _, threads := range []int{1, 2} {
		ctx := Context{Threads: threads}
		b.Run(fmt.Sprint(threads), func(b *testing.B) { measure(b, p, func() { ctx.solve(p) }) })
	}
}

func (s shape) problem() problem {
	lda, ldb := pick(s.transA, s.m, s.k), pick(s.transB, s.k, s.n)
	return problem{s.transA, s.transB, s.m, s.n, s.k, 1, 0, ramp(s.m * s.k), ramp(s.k * s.n), make([]float32, s.m*s.n), lda, ldb, s.n, hasVector()}
}

func measure(b *testing.B, p problem, gemm func()) {
	b.ReportAllocs()
	for b.Loop() {
		gemm()
	}
	products := float64(p.m) * float64(p.n) * float64(p.k) * float64(b.N)
	b.ReportMetric(2*products/b.Elapsed().Seconds()/1e9, "GFLOPS")
}

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%97)*0.01 - 0.5
	}
	return x
}
