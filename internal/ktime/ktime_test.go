package ktime

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNow holds the clock to the kernel's: it lags by no more than the two
// readings that tied them together lay apart.
func TestNow(t *testing.T) {
	kernel := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	const apart = 50 * time.Millisecond // were the process put aside between them
	last := Now()
	for range 1000 {
		before, now, after := kernel(), Now(), kernel()
		if now < before-apart || now > after {
			t.Fatalf("%v is not within %v to %v", now, before-apart, after)
		}
		if now < last {
			t.Fatalf("%v follows %v", now, last)
		}
		last = now
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
