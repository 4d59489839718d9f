package verify

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// wireName is a domain name as messages carry it.
func wireName(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, uint8(len(label))), label...)
	}
	return append(b, 0)
}

func dnsKey(id uint16, name string) matchExpectKey {
	return replyKey(kindDNS, 17, 53, 4000, id, questionHash(wireName(name), []byte{0, 1, 0, 1}))
}

func question(id uint16, name string) *layers.DNS {
	return &layers.DNS{ID: id, RD: true, QDCount: 1, Questions: []layers.DNSQuestion{
		{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
}

// response is the answer to question, with n addresses.
func response(id uint16, name string, rcode layers.DNSResponseCode, n int) *layers.DNS {
	d := question(id, name)
	d.QR, d.ResponseCode = true, rcode
	for range n {
		d.Answers = append(d.Answers, layers.DNSResourceRecord{Name: []byte(name), Type: layers.DNSTypeA,
			Class: layers.DNSClassIN, TTL: 1, IP: netip.MustParseAddr("10.77.2.80").AsSlice()})
	}
	d.ANCount = uint16(n)
	return d
}

func mustAnswer(tb testing.TB, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	return mustReply(tb, layers.IPProtocolUDP, append([]gopacket.SerializableLayer{&layers.UDP{SrcPort: 53, DstPort: 4000}}, above...)...)
}

func TestMatchDNS(t *testing.T) {
	const name = "www.lab.test"
	long := strings.Repeat("abcdefgh.", 27) + "abcdefghi" // 254 bytes on the wire
	key := dnsKey(9, name)
	other := question(9, name)
	other.QR, other.Questions[0].Type = true, layers.DNSTypeAAAA
	truncated := response(9, name, 0, 0)
	truncated.TC = true
	header := &layers.DNS{ID: 9, QR: true, ResponseCode: layers.DNSResponseCodeFormErr}
	compressed := mustAnswer(t, response(9, name, 0, 0))
	compressed[14+20+8+12] = 0xc0
	tests := []matchCase{
		{name: "answered", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, name, 0, 1)), action: steal, want: answered},
		{name: "two answers", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, name, 0, 2)), action: steal, want: answered},
		{name: "other case", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, "wWw.LAB.tesT", 0, 1)), action: steal, want: answered},
		{name: "long name", key: dnsKey(9, long), expect: pending(dns), frame: mustAnswer(t, response(9, long, 0, 1)), action: steal, want: answered},
		{name: "one letter", key: dnsKey(9, "a"), expect: pending(dns), frame: mustAnswer(t, response(9, "A", 0, 1)), action: steal, want: answered},
		{name: "nxdomain", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, name, 3, 0)), action: steal, want: rejected("nxdomain")},
		{name: "nxdomain accepted", key: key, expect: pending(nx), frame: mustAnswer(t, response(9, name, 3, 0)), action: steal, want: answered},
		{name: "servfail", key: key, expect: pending(nx), frame: mustAnswer(t, response(9, name, 2, 0)), action: steal, want: rejected("servfail")},
		{name: "refused", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, name, 5, 0)), action: steal, want: rejected("refused")},
		{name: "empty", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, name, 0, 0)), action: steal, want: rejected("empty")},
		{name: "truncated", key: key, expect: pending(dns), frame: mustAnswer(t, truncated), action: steal, want: rejected("truncated reply")},
		{name: "header alone", key: key, expect: pending(dns), frame: mustAnswer(t, header), action: steal, want: rejected("formerr")},
		{name: "other type", key: key, expect: pending(dns), frame: mustAnswer(t, other), action: pass, want: missed},
		{name: "other name", key: key, expect: pending(dns), frame: mustAnswer(t, response(9, "wwx.lab.test", 0, 1)), action: pass, want: missed},
		{name: "other id", key: key, expect: pending(dns), frame: mustAnswer(t, response(8, name, 0, 1)), action: pass, want: missed},
		{name: "a query", key: key, expect: pending(dns), frame: mustAnswer(t, question(9, name)), action: pass, want: missed},
		{name: "compressed question", key: key, expect: pending(dns), frame: compressed, action: steal, want: rejected("empty")},
		{name: "short of a header", key: key, expect: pending(dns), frame: mustAnswer(t, gopacket.Payload("0123456789a")), action: pass, want: missed},
	}
	for _, cut := range []int{1, 4, 5, 17, 18} { // bytes off the question
		frame := mustAnswer(t, gopacket.Payload(serializedDNS(t, response(9, name, 0, 0))[:30-cut]))
		tests = append(tests, matchCase{name: "question cut", key: dnsKey(9, "wvw.lab.test"), expect: pending(dns),
			frame: frame, action: steal, want: rejected("empty")}) // found by the hint: all that is left to go by
	}
	runMatchCases(t, tests)
}

func serializedDNS(tb testing.TB, d *layers.DNS) []byte {
	tb.Helper()
	return bytes.Clone(mustSerialize(tb, d))
}

func TestMatchFlow(t *testing.T) {
	flow := replyKey(kindFlow, 17, 53, 4000, 0, 0)
	sctp := replyKey(kindFlow, 132, 53, 4000, 0, 0)
	data := gopacket.Payload("anything")
	runMatchCases(t, []matchCase{
		{name: "reply", key: flow, expect: pending(reply), frame: mustAnswer(t, data), action: steal, want: answered},
		{name: "reply that looks like DNS", key: flow, expect: pending(reply), frame: mustAnswer(t, response(9, "www.lab.test", 0, 1)), action: steal, want: answered},
		{name: "not what the label expects", key: flow, expect: pending(web), frame: mustAnswer(t, data), action: steal, want: rejected("unexpected reply")},
		{name: "other port", key: replyKey(kindFlow, 17, 53, 4001, 0, 0), expect: pending(reply), frame: mustAnswer(t, data), action: pass, want: missed},
		{name: "no data", key: flow, expect: pending(reply), frame: mustAnswer(t), action: steal, want: answered},
		{name: "SCTP", key: sctp, expect: pending(reply), action: steal, want: answered,
			frame: mustReply(t, layers.IPProtocolSCTP, gopacket.Payload([]byte{0, 53, 15, 160, 0, 0, 0, 0, 0, 0, 0, 0}))},
		{name: "GRE", key: replyKey(kindOther, 47, 0, 0, 7, 0), expect: pending(reply), action: pass, want: missed,
			frame: mustReply(t, layers.IPProtocolGRE, data)},
	})
}
