// Package ktime reads the kernel's monotonic clock, in which BPF programs date
// what they see. A system call for it (unix.ClockGettime is one) takes more
// than the reading, and wakes the runtime's monitor in an idle process.
package ktime

import (
	"time"

	"golang.org/x/sys/unix"
)

// begin ties the runtime's own monotonic clock, which is the same one but
// cannot be asked for its value, to the kernel's.
var begin = func() (b struct {
	kernel time.Duration
	at     time.Time
}) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("ktime: read the monotonic clock: " + err.Error()) // cannot be: the clock and the address are right
	}
	b.kernel, b.at = time.Duration(ts.Nano()), time.Now()
	return b
}()

// Now is the time of bpf_ktime_get_ns: nanoseconds since the machine started,
// without the time that it was suspended. No setting of the clock changes it.
func Now() time.Duration { return begin.kernel + time.Since(begin.at) }

// Beat is how long it takes until the clock next reads a multiple of interval,
// at most interval: what waits for that wakes an idle process together.
func Beat(interval time.Duration) time.Duration { return interval - Now()%interval }
