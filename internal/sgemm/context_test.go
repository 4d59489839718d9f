package sgemm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// Every number of threads yields the same bits, on real numbers too.
func TestThreadsDoNotChangeTheResult(t *testing.T) {
	sizes := [][3]int{{1000, 64, 20}, {64, 1000, 20}, {800, 790, 5}, {20, 900, 400}, {900, 17, 400}}
	forKernels(t, func(t *testing.T, vector bool) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, size := range sizes {
			for trans := range 4 {
				p := randomProblem(rng, trans&1 != 0, trans&2 != 0, size[0], size[1], size[2])
				p.a, p.b, p.vector, p.alpha, p.beta = normal(rng, len(p.a)), normal(rng, len(p.b)), vector, 0.7, 0.3
				before := slices.Clone(p.c)
				new(Context).solve(p)
				want := slices.Clone(p.c)
				for _, threads := range []int{-1, 2, 7} {
					copy(p.c, before)
					(&Context{Threads: threads}).solve(p)
					mustEqual(t, fmt.Sprint(p, " threads=", threads), want, p.c)
				}
			}
		}
	})
}

// A context is used again with other threads and shapes.
func TestContextReuse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var ctx Context
	for range 200 {
		p := randomProblem(rng, rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(300), rng.IntN(300), rng.IntN(500))
		want := reference(p)
		ctx.Threads = rng.IntN(4)
		ctx.solve(p)
		mustEqual(t, p, want, p.c)
	}
}

func TestGemmConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 5))
			for range 20 {
				p := randomProblem(rng, false, true, 50+rng.IntN(50), 50, 400)
				want := reference(p)
				Gemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
				if !slices.Equal(want, p.c) {
					t.Errorf("%v: wrong beside other calls", p)
				}
			}
		})
	}
	wg.Wait()
}

func TestGemmDoesNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 2} {
		ctx := Context{Threads: threads}
		for trans := range 4 {
			p := randomProblem(rand.New(rand.NewPCG(6, 7)), trans&1 != 0, trans&2 != 0, 100, 900, 400)
			allocs := testing.AllocsPerRun(5, func() {
				ctx.Gemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
			})
			if allocs != 0 {
				t.Errorf("%v with %d threads: %g allocations a call, want 0", p, threads, allocs)
			}
		}
	}
}

func TestEqualPart(t *testing.T) {
	tests := []struct{ n, limit, unit, want int }{
		{1, 384, 8, 8}, {384, 384, 8, 384}, {385, 384, 8, 200}, {1024, 384, 8, 344}, {100, 3, 16, 16}, {33, 32, 16, 32},
	}
	for _, test := range tests {
		if got := equalPart(test.n, test.limit, test.unit); got != test.want {
			t.Errorf("equalPart(%d, %d, %d) = %d, want %d", test.n, test.limit, test.unit, got, test.want)
		}
	}
}

func TestStripRows(t *testing.T) {
	for left, want := range []int{0, 1, 2, 3, 4, 5, 6, 6, 4, 6, 6, 6, 6} {
		if got := stripRows(left); got != want {
			t.Errorf("stripRows(%d) = %d, want %d", left, got, want)
		}
	}
}
