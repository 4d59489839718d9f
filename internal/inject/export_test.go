package inject

import "testing"

// DetachGuard takes the guard off the cable, as if it had never been there.
func DetachGuard(tb testing.TB, in *Injector) {
	tb.Helper()
	if err := in.link.Close(); err != nil {
		tb.Error(err)
	}
}

// AbandonCable makes Close leave the cable to whoever opens the next.
func AbandonCable(tb testing.TB, in *Injector) {
	tb.Helper()
	DetachGuard(tb, in)
	in.link = nil
}
