package verify

import (
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// BenchmarkMatch is the matcher's time a frame: for what passes (near-miss: it
// differs from what is awaited in its DNS id alone), for replies, with event, for segments that user space hears of, and with told, for
// replies that it hears of.
func BenchmarkMatch(b *testing.B) {
	echo := mustEcho(b, 77, 3, make([]byte, 56))
	answer := mustAnswer(b, response(9, "www.lab.test", 0, 1))
	segment := mustSegment(b, segment(theirISS+1, 0, "PA"), "HTTP/1.1 200 OK\r\n")
	busy := func(label uint8) matchExpectation { return matchExpectation{State: 1 << 30, Label: label} }
	talk := sent(web)
	talk.State = 1 << 30
	for _, bm := range []struct {
		name   string
		frame  []byte
		key    matchExpectKey
		expect matchExpectation
		tell   bool
	}{
		{"miss-echo", echo, replyKey(kindEcho, 1, 1, 1, 1, 1), busy(ping), false},
		{"miss-dns", answer, replyKey(kindDNS, 17, 53, 1, 9, 1), busy(dns), false},
		{"miss-tcp", segment, replyKey(kindFlow, 6, 80, 1, 0, 0), busy(web), false},
		{"miss-udp", mustReply(b, layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 2}, gopacket.Payload("x")), tcpKey, busy(web), false},
		{"near-miss-dns", answer, dnsKey(10, "www.lab.test"), busy(dns), false},
		{"hit-echo", echo, replyKey(kindEcho, 1, 77, 3, 0, payloadHash(make([]byte, 56))), busy(ping), false},
		{"hit-dns", answer, dnsKey(9, "www.lab.test"), busy(dns), false},
		{"hit-tcp-event", segment, tcpKey, talk, false},
		{"hit-echo-told", echo, replyKey(kindEcho, 1, 77, 3, 0, payloadHash(make([]byte, 56))), busy(ping), true},
	} {
		b.Run(bm.name, func(b *testing.B) {
			o := Options{Timeout: time.Minute}
			if bm.tell {
				o.Tell = func([]Told, time.Time) {}
			}
			v := mustOpen(b, o)
			bm.expect.Iss--
			mustExpect(b, v, bm.key, bm.expect, 0)
			mustEnds(b, v, ping) // sweeps, as a daemon has by the time that it sends
			mustEnds(b, v, ping)
			var rounds []float64
			for b.Loop() {
				_, each, err := v.match.Match.Benchmark(bm.frame, 10_000, nil)
				if err != nil {
					b.Fatal(err)
				}
				rounds = append(rounds, float64(each.Nanoseconds()))
				drainRing(b, v)
				if err := v.tell(time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(rounds)
			b.ReportMetric(rounds[len(rounds)/2], "ns/frame")
		})
	}
}

// drainRing empties the segment ring, so that events are written and not lost.
func drainRing(tb testing.TB, v *Verifier) {
	tb.Helper()
	for mustRead(tb, v) != nil {
	}
}
