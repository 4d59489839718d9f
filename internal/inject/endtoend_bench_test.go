package inject_test

import (
	"testing"

	"pacgan-appliance/internal/inject"
)

// BenchmarkEndToEnd is packets a second, as fast as they go, with their
// answers: from the kernel for pings, from nginx for conversations at 5,000 a
// second. "success" is what was answered of them; "unknown", with a truth
// record of each, is how many records have no verdict: at full speed the ring of
// tidings may be full. Each packet has a record nevertheless (scribe.check).
func BenchmarkEndToEnd(b *testing.B) {
	for _, bm := range []struct {
		name  string
		rate  float64
		count uint64
		truth bool
		make  func(tb testing.TB) labelled
	}{
		{"ping", 0, 50_000, false, func(tb testing.TB) labelled { return pings(tb, 1, pingServer)[0] }},
		{"ping-truth", 0, 50_000, true, func(tb testing.TB) labelled { return pings(tb, 1, pingServer)[0] }},
		{"http", 5000, 5000, false, func(tb testing.TB) labelled {
			return mustRequest(tb, 40000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			n := newNetwork(b, networkOptions{unrecorded: !bm.truth})
			startNginx(b, n.servers)
			source := &endless{list: []labelled{bm.make(b)}}
			label := source.list[0].label
			b.ReportAllocs()
			var rate float64
			for b.Loop() {
				s, err := n.injector.Run(b.Context(), source, inject.RunOptions{Rate: bm.rate, Count: bm.count})
				if err != nil {
					b.Fatal(err)
				}
				rate = s.Rate()
			}
			b.ReportMetric(rate, "packets/s")
			b.ReportMetric(n.settled(b)[label].success().Rate, "success")
			if bm.truth {
				b.ReportMetric(float64(n.scribe.Book.Unknown()), "unknown")
			}
		})
	}
}
