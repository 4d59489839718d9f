package verify

import (
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
)

// FuzzReply gives the matcher any frame as a reply, while a packet of each kind
// waits for one: the frame is left as it is, at most one of the packets gets
// its verdict by it, and none is in two counts or in none.
func FuzzReply(f *testing.F) {
	const name = "www.lab.test"
	acknowledged := uint32(ourISS)
	acknowledged += 1 + request // it wraps
	f.Add(mustAnswer(f, response(9, name, 0, 1)))
	f.Add(mustAnswer(f, response(9, name, layers.DNSResponseCodeNXDomain, 0)))
	f.Add(mustReply(f, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(0, 0), Id: 7, Seq: 1}, gopacket.Payload("abc")))
	f.Add(mustReply(f, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(make([]byte, 28))))
	f.Add(mustSegment(f, segment(theirISS, ourISS+1, "SA"), ""))
	f.Add(mustSegment(f, segment(theirISS+1, acknowledged, "PA"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte{})
	v := mustOpen(f, Options{Timeout: time.Minute, Expectations: 64})
	waiting := map[int]struct {
		key    matchExpectKey
		expect matchExpectation
	}{
		ping:  {replyKey(kindEcho, 1, 7, 1, 0, payloadHash([]byte("abc"))), pending(ping)},
		dns:   {dnsKey(9, name), pending(dns)},
		web:   {tcpKey, sent(web)},
		reply: {replyKey(kindFlow, 17, 9, 4001, 0, 0), pending(reply)},
	}
	count := func(tb testing.TB) (decided, inflight uint64) {
		counts, err := v.Counts()
		if err != nil {
			tb.Fatal(err)
		}
		for label := range waiting {
			decided += counts[label].Answered + counts[label].Expired + counts[label].RejectedTotal()
			inflight += counts[label].Inflight
		}
		return decided, inflight
	}
	before, _ := count(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		defer bounded.Input(t, len(frame))()
		shortest := 14 + 20
		if len(frame) > 13 && frame[12] == 0x86 && frame[13] == 0xdd {
			shortest = 14 + 40
		}
		if len(frame) < shortest || len(frame) > 1514 {
			t.Skip("the kernel's test run refuses what has no IP header, and an interface what is longer")
		}
		for label, w := range waiting {
			w.expect.Label = uint8(label)
			mustExpect(t, v, w.key, w.expect, 0)
		}
		mustMatch(t, v, frame)
		after, inflight := count(t)
		if after-before > 1 || inflight+after-before != uint64(len(waiting)) {
			t.Errorf("%d packets have got a verdict by one frame and %d wait, of %d", after-before, inflight, len(waiting))
		}
		before = after
	})
}
