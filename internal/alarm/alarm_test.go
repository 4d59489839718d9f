package alarm

import (
	"errors"
	"testing"
	"time"

	"pacgan-appliance/internal/ktime"
)

func mustAlarm(t *testing.T) *Alarm {
	t.Helper()
	a, err := New()
	must(t, err)
	t.Cleanup(func() { _ = a.Close() }) // may have been closed
	return a
}

// TestWait waits for times to come, one of which has passed, and never returns early.
func TestWait(t *testing.T) {
	a := mustAlarm(t)
	for _, ahead := range []time.Duration{time.Millisecond, -time.Second, 1500 * time.Microsecond, 20 * time.Millisecond} {
		until := ktime.Now() + ahead
		must(t, a.Wait(until))
		// ktime lags behind the kernel's clock by what lay between the readings that tied them together.
		if now := ktime.Now(); now < until-50*time.Millisecond {
			t.Errorf("woke %v early", until-now)
		}
	}
	must(t, a.Wait(-1))
}

// TestRing ends waits that would be without end: one that is under way, and the next one, once.
func TestRing(t *testing.T) {
	a := mustAlarm(t)
	const never = time.Duration(1<<63 - 1)
	for range 1000 { // at any moment of the wait
		go a.Ring()
		must(t, a.Wait(never))
	}
	a.Ring()
	a.Ring()
	must(t, a.Wait(never))
	until := ktime.Now() + 10*time.Millisecond
	must(t, a.Wait(until))
	if now := ktime.Now(); now < until-50*time.Millisecond {
		t.Errorf("a ring that was heard ended a wait %v early", until-now)
	}
}

// TestClose ends waits under way and to come, and has Ring do nothing.
func TestClose(t *testing.T) {
	a := mustAlarm(t)
	go a.Close()
	for range 2 {
		if err := a.Wait(time.Duration(1<<63 - 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("%v after Close", err)
		}
	}
	a.Ring()
	if err := a.Close(); err == nil {
		t.Error("a second Close has no error")
	}
}

// TestWaitAllocatesNothing: it is called for every packet.
func TestWaitAllocatesNothing(t *testing.T) {
	a := mustAlarm(t)
	n := testing.AllocsPerRun(100, func() {
		a.Ring()
		must(t, a.Wait(0))
		must(t, a.Wait(ktime.Now()+100*time.Microsecond))
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
