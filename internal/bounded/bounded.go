// Package bounded holds what every fuzz target promises beside its own
// assertions: that no input of a stranger exhausts memory or time. It is for
// tests alone.
package bounded

import (
	"fmt"
	"runtime/metrics"
	"testing"
	"time"
)

const (
	smallInput = 64 << 10         // bytes: a larger input may cost what it likes
	mostMemory = 64 << 20         // bytes that a small input may have allocated, freed ones among them
	mostTime   = 60 * time.Second // for any input: generous, since it is wall time of a busy machine
)

// Input begins the work on one input of size bytes; the function that it
// returns ends it:
//
//	defer bounded.Input(t, len(data))()
//
// The test fails where the input had more than 64 MiB allocated from less
// than 64 KiB. What takes longer than a minute ends the process with all its
// goroutines' stacks, which go test's fuzzing keeps as a finding: by itself it
// would wait for ever.
func Input(tb testing.TB, size int) (end func()) {
	return watch(tb, size, mostTime, func() {
		panic(fmt.Sprintf("%s: an input of %d bytes has taken %v: it hangs", tb.Name(), size, mostTime))
	})
}

func watch(tb testing.TB, size int, limit time.Duration, hung func()) (end func()) {
	timer := time.AfterFunc(limit, hung)
	before := allocated()
	return func() {
		timer.Stop()
		tb.Helper()
		if n := allocated() - before; size < smallInput && n > mostMemory {
			tb.Errorf("an input of %d bytes had %d MiB allocated, %d at most are allowed below %d KiB", size, n>>20, mostMemory>>20, smallInput>>10)
		}
	}
}

// allocated is what the process has allocated since it began, in bytes. Small
// objects are counted when a thread's cache is full: that is some hundred
// KiB late.
func allocated() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}
