package sgemm

import (
	"sync"
	"sync/atomic"
)

const (
	soloWork  = 1 << 20 // products that one thread is done with before a second one wakes
	minPart   = 384     // rows or columns worth a part of their own, as each part packs the other operand
	partUnit  = 48      // a multiple of the tiles' rows and columns
	partsEach = 4       // parts a thread, so that a slow one has fewer of them
)

// Context multiplies with its own packing buffers, so that a call allocates nothing once it has
// seen a shape of that size. The zero value is ready and uses one thread. A Context must not be
// copied, nor used by two goroutines at once; several contexts may run side by side.
type Context struct {
	// Threads is the number of goroutines a call may use; less than one means one. The result
	// does not depend on it, to the bit: work is split over rows or columns of C, never over
	// the sums.
	Threads int

	workers []*worker
	whole   problem
	part    int // rows or columns of C in a part
	next    atomic.Int64
	running sync.WaitGroup
}

// share solves the problem with the threads that it is worth.
func (ctx *Context) share(p problem) {
	threads := max(ctx.Threads, 1)
	if float64(p.m)*float64(p.n)*float64(p.k) < soloWork {
		threads = 1
	}
	for len(ctx.workers) < threads {
		ctx.workers = append(ctx.workers, newWorker(ctx))
	}
	if threads == 1 {
		ctx.workers[0].solve(p)
		return
	}
	long := max(p.m, p.n)
	parts := min(max(threads, long/minPart), threads*partsEach)
	ctx.whole, ctx.part = p, equalPart(long, (long+parts-1)/parts, partUnit)
	ctx.next.Store(0)
	ctx.running.Add(threads)
	for _, w := range ctx.workers[1:threads] {
		go w.start()
	}
	ctx.workers[0].start()
	ctx.running.Wait()
	ctx.whole = problem{} // let go of the caller's memory
}

// take solves parts of the context's problem as long as there are any left.
func (w *worker) take() {
	defer w.ctx.running.Done()
	p := &w.ctx.whole
	for {
		at := int(w.ctx.next.Add(1)-1) * w.ctx.part
		if at >= max(p.m, p.n) {
			return
		}
		if p.m >= p.n {
			w.solve(p.rows(at, min(w.ctx.part, p.m-at)))
		} else {
			w.solve(p.columns(at, min(w.ctx.part, p.n-at)))
		}
	}
}

// equalPart divides n into the fewest equal parts of about limit at most, and returns the size of
// one, a multiple of unit.
func equalPart(n, limit, unit int) int {
	units := (n + unit - 1) / unit
	limit = max(limit/unit, 1)
	parts := (units + limit - 1) / limit
	return (units + parts - 1) / parts * unit
}
