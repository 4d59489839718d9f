package inject

import (
	"encoding/binary"
	"net"
	"testing"
	"time"
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

// BenchmarkGuardInsert is the guard's time for a frame that opens a new
// expectation. Each is timed by itself, clock included.
func BenchmarkGuardInsert(b *testing.B) {
	frame := frameOf(mustEcho(b, "10.77.2.80", benchPayload), single, labelEcho)
	in := mustGuard(b, 1<<18, "10.77.2.0/24")
	var total time.Duration
	n := 0
	for b.Loop() {
		n++
		binary.BigEndian.PutUint32(frame[len(frame)-4:], uint32(n))
		_, each, err := in.guard.Guard.Benchmark(frame, 1, nil)
		if err != nil {
			b.Fatal(err)
		}
		total += each
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(n), "ns/frame")
}
