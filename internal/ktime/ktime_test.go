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

// TestBeat wants the next multiple of an interval, not the one that is now.
func TestBeat(t *testing.T) {
	for range 1000 {
		const interval = 7 * time.Microsecond
		before := Now()
		left := Beat(interval)
		after := Now()
		if left <= 0 || left > interval {
			t.Fatalf("%v until the next multiple of %v", left, interval)
		}
		if multiple := (after + left) / interval * interval; multiple < before+left {
			t.Fatalf("at %v to %v it is %v until a multiple of %v", before, after, left, interval)
		}
	}
}
