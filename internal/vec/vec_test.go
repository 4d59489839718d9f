package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operations are all that there are, on a destination and three operands.
var operations = []struct {
	name string
	do   func(dst, a, b, c []float32)
	// want is the value of one element, rounded after each operation.
	want func(dst, a, b, c float32) float32
}{
	{"Add", func(dst, a, b, _ []float32) { Add(dst, a, b) }, func(_, a, b, _ float32) float32 { return a + b }},
	{"Mul", func(dst, a, b, _ []float32) { Mul(dst, a, b) }, func(_, a, b, _ float32) float32 { return a * b }},
	{"AddProduct", func(dst, a, b, _ []float32) { AddProduct(dst, a, b) }, func(dst, a, b, _ float32) float32 { return dst + float32(a*b) }},
	{"AddScaled", func(dst, a, _, _ []float32) { AddScaled(dst, -0.3, a) }, func(dst, a, _, _ float32) float32 { return dst + float32(-0.3*a) }},
	{"Affine", func(dst, a, _, _ []float32) { Affine(dst, 0.7, a, -5) }, func(_, a, _, _ float32) float32 { return float32(0.7*a) - 5 }},
	{"Lerp", func(dst, a, _, _ []float32) { Lerp(dst, 0.1, a) }, func(dst, a, _, _ float32) float32 { return dst + float32(0.1*(a-dst)) }},
	{"Gate", func(dst, a, b, _ []float32) { Gate(dst, 0.2, a, b) }, func(_, a, b, _ float32) float32 {
		if math.Signbit(float64(a)) {
			return 0.2 * b
		}
		return b
	}},
	{"AddGate", func(dst, a, b, _ []float32) { AddGate(dst, 0.2, a, b) }, func(_, a, b, _ float32) float32 {
		if y := a + b; math.Signbit(float64(y)) {
			return 0.2 * y
		}
		return a + b
	}},
	{"Normalise", func(dst, a, b, c []float32) { Normalise(dst, a, b, c) }, func(_, a, b, c float32) float32 { return float32(a-b) * c }},
}

// TestOperations compares each with its definition, to the bit, for lengths around those of vectors, and sees to it that
// nothing behind the end is written.
func TestOperations(t *testing.T) {
	for _, op := range operations {
		forBoth(t, op.name, func(t *testing.T) {
			for n := range 40 {
				dst, a, b, c := random(n), random(n), random(n), random(n)
				want := make([]float32, n)
				for i := range want {
					want[i] = op.want(dst[i], a[i], b[i], c[i])
				}
				got := append(slices.Clone(dst), 77)
				op.do(got[:n], a, b, c)
				mustEqual(t, fmt.Sprintf("%d values", n), append(want, 77), got)
			}
		})
	}
}

// TestInPlace: the destination may be an operand.
func TestInPlace(t *testing.T) {
	for _, op := range operations {
		forBoth(t, op.name, func(t *testing.T) {
			x, y, z := random(21), random(21), random(21)
			want := make([]float32, 21)
			for i := range want {
				want[i] = op.want(x[i], x[i], y[i], z[i])
			}
			op.do(x, x, y, z)
			mustEqual(t, "in place", want, x)
		})
	}
}

func TestAdamStep(t *testing.T) {
	s := AdamStep{Decay: 0.01, Keep1: 0.5, Take1: 0.5, Keep2: 0.99, Take2: 0.01, Rate: 0.1, Unbias2: 1.5, Epsilon: 1e-8}
	forBoth(t, "Do", func(t *testing.T) {
		for n := range 40 {
			w, m, v, d := random(n), random(n), random(n), random(n)
			for i := range v {
				v[i] *= v[i]
			}
			var wantW, wantM, wantV []float32
			for i := range w {
				g := d[i] + float32(s.Decay*w[i])
				wantM = append(wantM, float32(s.Keep1*m[i])+float32(s.Take1*g))
				wantV = append(wantV, float32(s.Keep2*v[i])+float32(float32(s.Take2*g)*g))
				root := float32(math.Sqrt(float64(float32(wantV[i] * s.Unbias2))))
				wantW = append(wantW, w[i]-float32(s.Rate*wantM[i])/(root+s.Epsilon))
			}
			s.Do(w, m, v, d)
			mustEqual(t, "w", wantW, w)
			mustEqual(t, "m", wantM, m)
			mustEqual(t, "v", wantV, v)
		}
	})
}

func TestShortOperandsPanic(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("an operand of 8 values was read as 9")
				}
			}()
			op.do(random(9), make([]float32, 8), random(9), random(9))
		})
	}
}

func TestNothingAllocates(t *testing.T) {
	dst, a, b, c := random(100), random(100), random(100), random(100)
	for _, op := range operations {
		if n := testing.AllocsPerRun(10, func() { op.do(dst, a, b, c) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", op.name, n)
		}
	}
}

func BenchmarkOperations(b *testing.B) {
	dst, x, y, z := random(4096), random(4096), random(4096), random(4096)
	for _, op := range operations {
		b.Run(op.name, func(b *testing.B) {
			b.SetBytes(4 * 4096)
			for b.Loop() {
				op.do(dst, x, y, z)
			}
		})
	}
}

// random returns values of both signs, both zeros among them.
func random(n int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(n), rand.Uint64()))
	x := make([]float32, n)
	for i := range x {
		switch rng.IntN(10) {
		case 0:
		case 1:
			x[i] = float32(math.Copysign(0, -1))
		default:
			x[i] = float32(rng.NormFloat64())
		}
	}
	return x
}

// mustEqual compares bits: -0 is not 0.
func mustEqual(t *testing.T, what string, want, got []float32) {
	t.Helper()
	if diff := cmp.Diff(bits(want), bits(got)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func bits(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}
