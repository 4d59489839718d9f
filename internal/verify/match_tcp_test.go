package verify

import (
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The conversation of these tests: our SYN had sequence number ourISS, the
// server's has theirISS, and our request is 50 bytes long.
const (
	ourISS   = 0xfffffff0 // wraps within the conversation
	theirISS = 1000
	request  = 50

	flagConversation = 1
	flagSent         = 2
	flagSYNACKed     = 4

	conversation = 0x80000005
)

// segment is one of the server's.
func segment(seq, ack uint32, flags string) *layers.TCP {
	s := &layers.TCP{SrcPort: 80, DstPort: 4000, Seq: seq, Ack: ack, Window: 500}
	for _, f := range flags {
		switch f {
		case 'S':
			s.SYN = true
		case 'A':
			s.ACK = true
		case 'F':
			s.FIN = true
		case 'R':
			s.RST = true
		case 'P':
			s.PSH = true
		}
	}
	return s
}

func mustSegment(tb testing.TB, s *layers.TCP, data string) []byte {
	tb.Helper()
	return mustReply(tb, layers.IPProtocolTCP, s, gopacket.Payload(data))
}

var tcpKey = replyKey(kindFlow, 6, 80, 4000, 0, 0)

// opened is a conversation whose SYN is out, sent one whose request is.
func opened(label uint8) matchExpectation {
	return matchExpectation{State: 1, Label: label, Iss: ourISS, Flags: flagConversation, Id: conversation}
}

func sent(label uint8) matchExpectation {
	e := opened(label)
	e.Flags |= flagSent | flagSYNACKed
	e.Next = theirISS + 1
	return e
}

// single is a segment that was sent as it is, with ack as its acknowledgement number.
func single(label uint8, ack uint32) matchExpectation {
	return matchExpectation{State: 1, Label: label, Iss: ourISS, Next: ack}
}

func TestMatchTCP(t *testing.T) {
	var ourAck = uint32(ourISS) // a variable: constants do not wrap
	ourAck++
	ackAll := ourAck + request
	first := func(data string) []byte { return mustSegment(t, segment(theirISS+1, ackAll, "PA"), data) }
	stolen := ends{Inflight: 1, Stolen: 1}
	runMatchCases(t, []matchCase{
		{name: "SYN-ACK", key: tcpKey, expect: opened(web), frame: mustSegment(t, segment(theirISS, ourAck, "SA"), ""), action: steal, want: stolen},
		{name: "refused", key: tcpKey, expect: opened(web), frame: mustSegment(t, segment(0, ourAck, "RA"), ""), action: steal, want: rejected("rst")},
		{name: "another conversation's SYN-ACK", key: tcpKey, expect: opened(web), frame: mustSegment(t, segment(theirISS, 5e8, "SA"), ""), action: pass, want: missed},
		{name: "another conversation's reset", key: tcpKey, expect: opened(web), frame: mustSegment(t, segment(0, 5e8, "RA"), ""), action: pass, want: missed},
		{name: "another flow", key: replyKey(kindFlow, 6, 80, 4001, 0, 0), expect: opened(web), frame: mustSegment(t, segment(0, ourAck, "RA"), ""), action: pass, want: missed},
		{name: "200", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 200 OK\r\n\r\n"), action: steal, want: answered},
		{name: "status line alone", key: tcpKey, expect: sent(web), frame: first("HTTP/1.0 301"), action: steal, want: answered},
		{name: "404", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 404 Not Found\r\n\r\n"), action: steal, want: rejected("http 404")},
		{name: "599", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 599 \r\n\r\n"), action: steal, want: rejected("http 599")},
		{name: "600", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 600 \r\n\r\n"), action: steal, want: rejected("not http")},
		{name: "status line cut", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 20"), action: steal, want: stolen},
		{name: "status line cut and closed", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+1, ackAll, "FPA"), "HTTP/1.1 20"), action: steal, want: rejected("not http")},
		{name: "short and not HTTP", key: tcpKey, expect: sent(web), frame: first("220 hello"), action: steal, want: rejected("not http")},
		{name: "not HTTP", key: tcpKey, expect: sent(web), frame: first("SSH-2.0-OpenSSH_9.2"), action: steal, want: rejected("not http")},
		{name: "interim", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 100 Continue\r\n\r\n"), action: steal, want: stolen},
		{name: "interim and final", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), action: steal, want: answered},
		{name: "interim and bad", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 103 \r\nLink: a\r\n\r\nHTTP/1.1 500 OK\r\n\r\n"), action: steal, want: rejected("http 500")},
		{name: "interim cut", key: tcpKey, expect: sent(web), frame: first("HTTP/1.1 103 \r\nLink: "), action: steal, want: stolen},
		{name: "any bytes for label reply", key: tcpKey, expect: sent(reply), frame: first("+OK"), action: steal, want: answered},
		{name: "label ping", key: tcpKey, expect: sent(ping), frame: first("+OK"), action: steal, want: rejected("unexpected reply")},
		{name: "before the request is out", key: tcpKey, expect: opened(reply), frame: first("220 ready"), action: steal, want: stolen},
		{name: "later segment", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+100, ackAll, "PA"), "HTTP/1.1 200 OK"), action: steal, want: stolen},
		{name: "bare ACK", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+1, ackAll, "A"), ""), action: steal, want: stolen},
		{name: "closed", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+1, ackAll, "FA"), ""), action: steal, want: rejected("closed without an answer")},
		{name: "reset", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+1, ackAll, "RA"), ""), action: steal, want: rejected("rst")},
		{name: "reset without ACK", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+1, 0, "R"), ""), action: steal, want: rejected("rst")},
		{name: "forged reset without ACK", key: tcpKey, expect: sent(web), frame: mustSegment(t, segment(theirISS+9, 0, "R"), ""), action: pass, want: missed},
		{name: "late", key: tcpKey, expect: sent(web), age: tooLate, frame: first("HTTP/1.1 200 OK"), action: steal, want: ends{Expired: 1, Late: 1, Stolen: 1}},
		{name: "after the verdict", key: tcpKey, expect: matchExpectation{Label: web, Iss: ourISS, Flags: flagConversation | flagSent},
			frame: mustSegment(t, segment(theirISS+20, ackAll, "FA"), ""), action: steal, want: ends{Stolen: 1}},
		{name: "DNS", key: tcpKey, expect: sent(dns), frame: first("\x00\x20" + string(serializedDNS(t, response(9, "a", 0, 1)))), action: steal, want: answered},
		{name: "DNS nxdomain", key: tcpKey, expect: sent(dns), frame: first("\x00\x20" + string(serializedDNS(t, response(9, "a", 3, 0)))), action: steal, want: rejected("nxdomain")},
		{name: "DNS cut", key: tcpKey, expect: sent(dns), frame: first("\x00\x20"), action: steal, want: stolen},
		{name: "DNS cut and closed", key: tcpKey, expect: sent(dns), frame: mustSegment(t, segment(theirISS+1, ackAll, "FPA"), "\x00\x20"), action: steal, want: rejected("malformed reply")},
		{name: "single: reset", key: tcpKey, expect: single(web, 5), frame: mustSegment(t, segment(5, 0, "R"), ""), action: steal, want: rejected("rst")},
		{name: "single: SYN-ACK, label reply", key: tcpKey, expect: single(reply, 0), frame: mustSegment(t, segment(theirISS, ourAck, "SA"), ""), action: steal, want: answered},
		{name: "single: SYN-ACK, label web", key: tcpKey, expect: single(web, 0), frame: mustSegment(t, segment(theirISS, ourAck, "SA"), ""), action: steal, want: stolen},
		{name: "half a header", key: tcpKey, expect: sent(web), frame: mustReply(t, layers.IPProtocolTCP, gopacket.Payload([]byte{0, 80, 15, 160, 0, 0, 0, 0})), action: pass, want: missed},
	})
}

func TestMatchTCPDataOffsetBeyondTheSegment(t *testing.T) {
	frame := mustSegment(t, segment(theirISS+1, 0, "A"), "")
	frame[14+20+12] = 0xf0
	runMatchCases(t, []matchCase{{name: "pass", key: tcpKey, expect: sent(web), frame: frame, action: pass, want: missed}})
}

// TestSegmentsAreTold reads what user space hears of a conversation.
func TestSegmentsAreTold(t *testing.T) {
	synAck := segment(theirISS, 0, "SA")
	synAck.Options = []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{0, 0, 0, 9, 0, 0, 0, 8}},
	}
	var ack uint32 = ourISS
	ack++
	synAck.Ack = ack
	tests := []struct {
		name   string
		expect matchExpectation
		frame  []byte
		want   *Segment
	}{
		{"SYN-ACK with options", opened(web), mustSegment(t, synAck, ""),
			&Segment{ID: conversation, Label: web, Seq: theirISS, Ack: ack, Flags: 0x12,
				Options: []byte{2, 4, 5, 180, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0}}},
		{"response", sent(web), mustSegment(t, segment(theirISS+1, ack+request, "PA"), "HTTP/1.1 200 OK"),
			&Segment{ID: conversation, Label: web, Seq: theirISS + 1, Ack: ack + request, Flags: 0x18, Length: 15, Decided: true, Options: []byte{}}},
		{"more of it", matchExpectation{Label: web, Iss: ourISS, Flags: 3, Id: conversation}, mustSegment(t, segment(theirISS+16, ack+request, "FA"), "x"),
			&Segment{ID: conversation, Label: web, Seq: theirISS + 16, Ack: ack + request, Flags: 0x11, Length: 1, Options: []byte{}}},
		{"ICMP error", sent(web), mustQuoting(t, 3, 1, mustRequest(t, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: ack, ACK: true})),
			&Segment{ID: conversation, Label: web, Decided: true, Options: []byte{}}},
		{"bare ACK", sent(web), mustSegment(t, segment(theirISS+1, ack+request, "A"), ""), nil},
		{"no conversation", single(web, 0), mustSegment(t, synAck, ""), nil},
	}
	v := mustOpen(t, Options{Timeout: 30 * time.Second})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mustExpect(t, v, tcpKey, tt.expect, 0)
			mustMatch(t, v, tt.frame)
			if diff := cmp.Diff(tt.want, mustRead(t, v)); diff != "" {
				t.Errorf("segment (-want +got):\n%s", diff)
			}
		})
	}
}

// mustRead takes the segment that is in the ring, if there is one.
func mustRead(tb testing.TB, v *Verifier) *Segment {
	tb.Helper()
	var record ringbuf.Record
	found, err := v.segments.Next(&record)
	if err != nil {
		tb.Fatal(err)
	}
	if !found {
		return nil
	}
	s, ok := segmentOf(record.RawSample)
	if !ok {
		tb.Fatalf("record of %d bytes", len(record.RawSample))
	}
	return &s
}

// TestFullRingCostsNoCount fills the ring: user space misses segments, the
// counts miss nothing.
func TestFullRingCostsNoCount(t *testing.T) {
	v := mustOpen(t, Options{Timeout: time.Minute})
	const n = 60_000 // a record is 96 bytes, the ring 4 MiB
	e := sent(web)
	e.State = n
	mustExpect(t, v, tcpKey, e, 0)
	var ack uint32 = ourISS
	frame := mustSegment(t, segment(theirISS+1, ack+1, "PA"), "HTTP/1.1 200 OK")
	if _, _, err := v.match.Match.Benchmark(frame, n, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := mustEnds(t, v, web).Answered, uint64(n); got != want {
		t.Errorf("%d answered, want %d", got, want)
	}
	odd, err := v.Oddities()
	if err != nil {
		t.Fatal(err)
	}
	if odd.SegmentsLost == 0 {
		t.Error("no segment was lost: the ring was not full")
	}
}
