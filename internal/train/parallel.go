package train

import "sync"

// minWork is the number of elements below which a second goroutine costs more than it brings.
const minWork = 1 << 14

// parallel calls f on disjoint ranges that cover rows 0..n-1, at most one for each thread; work is the elements
// in all of them. The ranges depend on n and threads only. A panic in any of them is raised in the caller.
func parallel(threads, n, work int, f func(lo, hi int)) {
	if threads < 2 || work < minWork {
		f(0, n)
		return
	}
	var (
		wg       sync.WaitGroup
		panicked = make([]any, threads)
	)
	part := func(t int) {
		defer func() { panicked[t] = recover() }()
		f(n*t/threads, n*(t+1)/threads)
	}
	for t := 1; t < threads; t++ {
		wg.Go(func() { part(t) })
	}
	part(0) // the caller would only wait
	wg.Wait()
	for _, p := range panicked {
		if p != nil {
			panic(p)
		}
	}
}

func fill[T float32 | int32](x []T, v T) {
	for i := range x {
		x[i] = v
	}
}
