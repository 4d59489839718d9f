package inject

import (
	"net"
	"testing"
)

const benchPayload = "0123456789012345678901234567890123456789012345678901234" // 97-byte frames

// BenchmarkGuard is the guard's time a frame where the table does not change.
// The wire's address is what the frame says already, so that the frame is the
// same for every turn.
func BenchmarkGuard(b *testing.B) {
	for _, bm := range []struct {
		name  string
		label int
		dst   string
	}{{"blocked", labelEcho, "10.77.3.80"}, {"unasked", labelNone, "10.77.2.80"}, {"again", labelEcho, "10.77.2.80"}} {
		b.Run(bm.name, func(b *testing.B) {
			frame := frameOf(mustEcho(b, bm.dst, benchPayload), single, bm.label)
			in := mustGuardFor(b, net.HardwareAddr(frame[6:12]), 1<<18, "10.77.2.0/24")
			if err := in.SetMaxRate(1e7); err != nil { // more than one processor can do: each frame takes from the bucket
				b.Fatal(err)
			}
			for b.Loop() {
				_, each, err := in.guard.Guard.Benchmark(frame, 100_000, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(each.Nanoseconds()), "ns/frame")
			}
		})
	}
}
