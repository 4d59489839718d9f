package inject

import (
	"testing"

	"github.com/cilium/ebpf"
)

// End is an end of the cable that the guard is at: an index of Injector.links.
type End int

// The ends.
const (
	FarEnd End = iota
	NearEnd
)

// DetachGuard takes the guard off ends of the cable, as if it had never been there.
func DetachGuard(tb testing.TB, in *Injector, ends ...End) {
	tb.Helper()
	for _, end := range ends {
		if err := in.links[end].Close(); err != nil {
			tb.Error(err)
		}
	}
}

// AbandonCable makes Close leave the cable to whoever opens the next.
func AbandonCable(tb testing.TB, in *Injector) {
	tb.Helper()
	DetachGuard(tb, in, FarEnd, NearEnd)
	in.links = nil
}

// GuardStats is what the kernel has counted of the guard at the near end, while
// ebpf.EnableStats holds.
func GuardStats(tb testing.TB, in *Injector) *ebpf.ProgramStats {
	tb.Helper()
	stats, err := in.guard.Near.Stats()
	if err != nil {
		tb.Fatal(err)
	}
	return stats
}

// SendAllLive has EngineXDP send whatever it gets as live frames, be it one.
func SendAllLive(tb testing.TB, in *Injector) {
	tb.Helper()
	p, ok := in.sender.path.(attended).path.(*xdp)
	if !ok {
		tb.Fatalf("engine %v", in.choice)
	}
	p.least = 1
}
