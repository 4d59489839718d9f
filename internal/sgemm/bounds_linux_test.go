package sgemm

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fenced copies x to memory that ends where a page begins that cannot be touched, or begins where
// one ends.
func fenced(tb testing.TB, x []float32, atEnd bool) []float32 {
	tb.Helper()
	page := unix.Getpagesize()
	size := (4*len(x) + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		tb.Fatalf("mmap: %v", err)
	}
	tb.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			tb.Errorf("munmap: %v", err)
		}
	})
	for _, fence := range [][]byte{mem[:page], mem[page+size:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			tb.Fatalf("mprotect: %v", err)
		}
	}
	if len(x) == 0 {
		return nil
	}
	y := unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), size/4)
	if atEnd {
		y = y[len(y)-len(x):]
	}
	copy(y, x)
	return y[:len(x):len(x)]
}

// Neither operands nor C are touched beyond their slices, which hold no more than they must.
func TestGemmStaysWithinSlices(t *testing.T) {
	sizes := [][3]int{
		{1, 1, 1}, {3, 5, 7}, {4, 16, 8}, {6, 16, 9}, {6, 17, 16}, {7, 15, 15}, {8, 24, 24}, {10, 32, 33}, {12, 31, 1},
		{13, 33, 385}, {25, 40, 400}, {26, 48, 16}, {30, 130, 390}, {129, 16, 12}, {131, 23, 385}, {5, 900, 64},
	}
	forKernels(t, func(t *testing.T, vector bool) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, size := range sizes {
			for trans := range 8 {
				p := randomProblem(rng, trans&1 != 0, trans&2 != 0, size[0], size[1], size[2])
				p.vector, p.alpha = vector, 1
				want := reference(p)[:(p.m-1)*p.ldc+p.n]
				p.a = fenced(t, p.a[:(pick(p.transA, p.k, p.m)-1)*p.lda+pick(p.transA, p.m, p.k)], trans&4 != 0)
				p.b = fenced(t, p.b[:(pick(p.transB, p.n, p.k)-1)*p.ldb+pick(p.transB, p.k, p.n)], trans&4 != 0)
				p.c = fenced(t, p.c[:len(want)], trans&4 != 0)
				new(Context).solve(p)
				mustEqual(t, p, want, p.c)
			}
		}
	})
}
