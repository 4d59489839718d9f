package sgemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// guard stands wherever nothing may be read or written. As a factor it would be seen.
const guard = 1 << 20

// forKernels runs a test with the kernels in Go and, if this processor has them, in assembly.
func forKernels(t *testing.T, test func(t *testing.T, vector bool)) {
	t.Run("portable", func(t *testing.T) { test(t, false) })
	t.Run("vector", func(t *testing.T) {
		if !hasVector() {
			t.Skip("no AVX2 and FMA here")
		}
		test(t, true)
	})
}

// randomProblem has small whole numbers, so that every sum is exact in any order, and rows that
// are up to 4 values apart.
func randomProblem(rng *rand.Rand, transA, transB bool, m, n, k int) problem {
	p := problem{transA: transA, transB: transB, m: m, n: n, k: k, vector: hasVector()}
	factors := []float32{1, 0, 0.5, -1}
	p.alpha, p.beta = factors[rng.IntN(4)], factors[rng.IntN(4)]
	p.a, p.lda = randomMatrix(rng, pick(transA, k, m), pick(transA, m, k))
	p.b, p.ldb = randomMatrix(rng, pick(transB, n, k), pick(transB, k, n))
	p.c, p.ldc = randomMatrix(rng, m, n)
	return p
}

func randomMatrix(rng *rand.Rand, rows, cols int) (x []float32, ld int) {
	ld = max(1, cols) + rng.IntN(5)
	x = slices.Repeat([]float32{guard}, rows*ld+3)
	for i := range rows {
		for j := range cols {
			x[i*ld+j] = float32(rng.IntN(17) - 8)
		}
	}
	return x, ld
}

// reference returns gonum's C.
func reference(p problem) []float32 {
	c := slices.Clone(p.c)
	blas32.Implementation().Sgemm(flag(p.transA), flag(p.transB), p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
	return c
}

func flag(trans bool) blas.Transpose {
	if trans {
		return blas.Trans
	}
	return blas.NoTrans
}

func (p problem) String() string {
	return fmt.Sprintf("%s %dx%dx%d alpha=%g beta=%g ld=%d,%d,%d", transposes(p.transA, p.transB), p.m, p.n, p.k, p.alpha, p.beta, p.lda, p.ldb, p.ldc)
}

func transposes(a, b bool) string { return string([]byte{"NT"[pick(a, 1, 0)], "NT"[pick(b, 1, 0)]}) }

// mustEqual compares the whole of C's memory, and so what lies between and behind its rows.
func mustEqual(t *testing.T, name any, want, got []float32) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Fatalf("%v (-want +got):\n%s", name, cmp.Diff(want, got))
	}
}

func TestGemmSmall(t *testing.T) {
	tests := []struct {
		name           string
		transA, transB bool
		alpha, beta    float32
		want           []float32
	}{
		{"plain", false, false, 1, 0, []float32{19, 22, 43, 50}},
		{"A transposed", true, false, 1, 0, []float32{26, 30, 38, 44}},
		{"B transposed", false, true, 1, 0, []float32{17, 23, 39, 53}},
		{"both transposed", true, true, 1, 0, []float32{23, 31, 34, 46}},
		{"alpha and beta", false, false, 2, -1, []float32{37, 43, 85, 99}},
		{"alpha 0", false, false, 0, 3, []float32{3, 3, 3, 3}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := []float32{1, 1, 1, 1}
			Gemm(test.transA, test.transB, 2, 2, 2, test.alpha, []float32{1, 2, 3, 4}, 2, []float32{5, 6, 7, 8}, 2, test.beta, c, 2)
			if diff := cmp.Diff(test.want, c); diff != "" {
				t.Errorf("C (-want +got):\n%s", diff)
			}
		})
	}
}

// Every size of a tile's edge, with each transpose.
func TestGemmEdges(t *testing.T) {
	forKernels(t, func(t *testing.T, vector bool) {
		rng := rand.New(rand.NewPCG(1, 2))
		var ctx Context
		for i := range 51 * 51 * 4 {
			x, y, z := i/4%51, i/4/51, rng.IntN(51)
			if i%3 == 0 {
				y, z = z, y
			}
			p := randomProblem(rng, i&1 != 0, i&2 != 0, x, y, z)
			p.vector = vector
			want := reference(p)
			ctx.solve(p)
			mustEqual(t, p, want, p.c)
		}
	})
}

// Sizes around those of the blocks: more than one of each kind, and the last one smaller.
func TestGemmBlocks(t *testing.T) {
	sizes := [][3]int{
		{7, 20, maxDepth}, {13, 33, maxDepth + 1}, {30, 40, 2*maxDepth + 5}, {fewRows, 128, 400},
		{fewRows + 1, 129, 400}, {20, 700, 400}, {6, 300, 770}, {24, 250, 500}, {25, 250, 500},
		{10, maxB/8 + 17, 3}, {maxA/maxDepth + 50, 5, maxDepth}, {maxA/8 + 10, 1, 8}, {1, 1, 5000},
	}
	forKernels(t, func(t *testing.T, vector bool) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, size := range sizes {
			for trans := range 4 {
				p := randomProblem(rng, trans&1 != 0, trans&2 != 0, size[0], size[1], size[2])
				p.vector, p.alpha = vector, 0.5
				want := reference(p)
				new(Context).solve(p)
				mustEqual(t, p, want, p.c)
			}
		}
	})
}

// On real numbers the error stays below the bound for sums of k products in any order (Higham,
// Accuracy and Stability of Numerical Algorithms, section 3.5).
func TestGemmRounding(t *testing.T) {
	const m, n, k = 31, 37, 1000
	forKernels(t, func(t *testing.T, vector bool) {
		rng := rand.New(rand.NewPCG(5, 6))
		p := problem{m: m, n: n, k: k, lda: k, ldb: n, ldc: n, alpha: 1, a: normal(rng, m*k), b: normal(rng, k*n), c: normal(rng, m*n), vector: vector}
		new(Context).solve(p)
		for i := range m {
			for j := range n {
				var want, size float64
				for q := range k {
					x := float64(p.a[i*k+q]) * float64(p.b[q*n+j])
					want, size = want+x, size+math.Abs(x)
				}
				if got := float64(p.c[i*n+j]); math.Abs(got-want) > k*0x1p-24*size {
					t.Fatalf("C[%d,%d] = %g, want %g within %g", i, j, got, want, k*0x1p-24*size)
				}
			}
		}
	})
}

func normal(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func TestGemmBetaZeroOverwritesNaN(t *testing.T) {
	forKernels(t, func(t *testing.T, vector bool) {
		for _, k := range []int{0, 1, 5, 800} {
			for _, alpha := range []float32{0, 1} {
				p := randomProblem(rand.New(rand.NewPCG(7, 8)), false, false, 15, 35, k)
				p.vector, p.alpha, p.beta = vector, alpha, 0
				want := reference(p)
				for i := range p.m {
					for j := range p.n {
						p.c[i*p.ldc+j] = float32(math.NaN())
					}
				}
				new(Context).solve(p)
				mustEqual(t, p, want, p.c)
			}
		}
	})
}

// NaN and infinities in A and B reach C, and only the rows and columns that they are in.
func TestGemmPropagatesNaN(t *testing.T) {
	forKernels(t, func(t *testing.T, vector bool) {
		p := randomProblem(rand.New(rand.NewPCG(9, 10)), true, false, 15, 35, 20)
		p.vector, p.alpha = vector, 1
		p.a[3*p.lda+14] = float32(math.NaN()) // op(A) at (14, 3)
		new(Context).solve(p)
		for i := range p.m {
			for j := range p.n {
				if x := p.c[i*p.ldc+j]; (x != x) != (i == 14) {
					t.Fatalf("C[%d,%d] = %g", i, j, x)
				}
			}
		}
	})
}

// alpha = 0 must not look at A and B, which may not even be there.
func TestGemmLeavesUnusedOperands(t *testing.T) {
	c := []float32{1, 2, 3, 4}
	Gemm(false, false, 2, 2, 9, 0, nil, 0, nil, 0, 0.5, c, 2)
	Gemm(false, false, 2, 2, 0, 1, nil, 0, nil, 0, 2, c, 2)
	Gemm(false, false, 0, 2, 2, 1, nil, 0, nil, 0, 0, nil, 0)
	Gemm(false, false, 2, -1, 2, 1, nil, 0, nil, 0, 0, nil, 0)
	if diff := cmp.Diff([]float32{1, 2, 3, 4}, c); diff != "" {
		t.Errorf("C (-want +got):\n%s", diff)
	}
}

func TestGemmPanicsOnShortSlices(t *testing.T) {
	x := func(n int) []float32 { return make([]float32, n) }
	tests := []struct {
		name                   string
		transA, transB         bool
		a, b, c, lda, ldb, ldc int
		want                   string
	}{
		{"A", false, false, 5, 12, 8, 3, 4, 4, "sgemm: A has 5 values, too few for 2 rows of 3 at stride 3"},
		{"A transposed", true, false, 5, 12, 8, 2, 4, 4, "sgemm: A has 5 values, too few for 3 rows of 2 at stride 2"},
		{"B", false, false, 6, 11, 8, 3, 4, 4, "sgemm: B has 11 values, too few for 3 rows of 4 at stride 4"},
		{"B transposed", false, true, 6, 11, 8, 3, 3, 4, "sgemm: B has 11 values, too few for 4 rows of 3 at stride 3"},
		{"C", false, false, 6, 12, 7, 3, 4, 4, "sgemm: C has 7 values, too few for 2 rows of 4 at stride 4"},
		{"C empty", false, false, 6, 12, 0, 3, 4, 4, "sgemm: C has 0 values, too few for 2 rows of 4 at stride 4"},
		{"stride below width", false, false, 60, 120, 80, 2, 4, 4, "sgemm: A has 60 values, too few for 2 rows of 3 at stride 2"},
		{"negative stride", false, false, 60, 120, 80, 3, -4, 4, "sgemm: B has 120 values, too few for 3 rows of 4 at stride -4"},
		{"stride that overflows", false, false, 60, 120, 80, 3, 4, math.MaxInt, "sgemm: C has 80 values, too few for 2 rows of 4 at stride " + fmt.Sprint(math.MaxInt)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := x(test.c)
			defer func() {
				if diff := cmp.Diff(test.want, strings.TrimSpace(fmt.Sprint(recover()))); diff != "" {
					t.Errorf("panic (-want +got):\n%s", diff)
				}
				mustEqual(t, "C after the panic", x(test.c), c)
			}()
			Gemm(test.transA, test.transB, 2, 4, 3, 1, x(test.a), test.lda, x(test.b), test.ldb, 0, c, test.ldc)
		})
	}
}
