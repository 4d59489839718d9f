package inject

import (
	"bytes"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

// generatedGet is a segment as a model gives it, its checksums zeroed.
func generatedGet(tb testing.TB, options ...layers.TCPOption) packet.IP {
	tb.Helper()
	ip := &layers.IPv4{Version: 4, TOS: 0x10, TTL: 61, Id: 1, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
		SrcIP: net.IPv4(10, 77, 1, 11), DstIP: net.IPv4(10, 77, 2, 81)}
	b := mustIPOf(tb, ip, &layers.TCP{SrcPort: 40000, DstPort: 80, Seq: 1, Ack: 2, ACK: true, PSH: true, Window: 502, Urgent: 3, Options: options},
		gopacket.Payload("GET / HTTP/1.1\r\n\r\n"))
	packet.ZeroChecksums(b)
	p, err := packet.ParseIP(b)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// TestPutSegment compares with what gopacket builds from the same fields.
func TestPutSegment(t *testing.T) {
	stamps := []byte{0, 0, 0, 9, 0, 0, 0, 0}
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	mss := layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}
	sack := layers.TCPOption{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2}
	timestamp := layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: stamps}
	scale := layers.TCPOption{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}}
	tests := []struct {
		name   string
		fields segmentFields
		id     uint16
		want   layers.TCP
	}{
		{"SYN with timestamps", segmentFields{flags: packet.FlagSYN, seq: 100, idOffset: -2, options: appendSYNOptions(nil, 1460, 9, true)}, 0xffff,
			layers.TCP{Seq: 100, SYN: true, Options: []layers.TCPOption{mss, sack, timestamp, nop, scale}}},
		{"SYN without", segmentFields{flags: packet.FlagSYN, seq: 100, idOffset: -2, options: appendSYNOptions(nil, 1460, 0, false)}, 0xffff,
			layers.TCP{Seq: 100, SYN: true, Options: []layers.TCPOption{mss, nop, nop, sack, nop, scale}}},
		{"ACK", segmentFields{flags: packet.FlagACK, seq: 101, ack: 7, idOffset: -1, options: appendTimestamps(nil, 9, 0)}, 0,
			layers.TCP{Seq: 101, Ack: 7, ACK: true, Options: []layers.TCPOption{nop, nop, timestamp}}},
		{"FIN", segmentFields{flags: packet.FlagFIN | packet.FlagACK, seq: 119, ack: 90, idOffset: 1}, 2,
			layers.TCP{Seq: 119, Ack: 90, FIN: true, ACK: true}},
		{"RST", segmentFields{flags: resetFlags, seq: 119, ack: 90, idOffset: 2}, 3, layers.TCP{Seq: 119, Ack: 90, RST: true, ACK: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ip := &layers.IPv4{Version: 4, TOS: 0x10, TTL: 61, Id: tt.id, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
				SrcIP: net.IPv4(10, 77, 1, 11), DstIP: net.IPv4(10, 77, 2, 81)}
			tt.want.SrcPort, tt.want.DstPort, tt.want.Window = 40000, 80, 502
			b := bytes.Repeat([]byte{0xee}, 1500) // what was in the buffer before
			b = b[:putSegment(b, generatedGet(t), tt.fields)]
			if diff := cmp.Diff(mustIPOf(t, ip, &tt.want), b); diff != "" {
				t.Errorf("segment (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPutGenerated: only the two numbers and the checksums change.
func TestPutGenerated(t *testing.T) {
	generated := generatedGet(t)
	b := make([]byte, 1500)
	b = b[:putGenerated(b, generated, 0x01020304, 0x05060708)]
	p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
	ip, segment := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4), p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if segment.Seq != 0x01020304 || segment.Ack != 0x05060708 {
		t.Errorf("numbers %#x, %#x", segment.Seq, segment.Ack)
	}
	if want := mustIPOf(t, ip, segment, gopacket.Payload(segment.Payload)); !bytes.Equal(b, want) {
		t.Errorf("checksums (-want +got):\n%s", cmp.Diff(want, b))
	}
	copy(b[24:32], generated[24:32])
	packet.ZeroChecksums(b)
	if diff := cmp.Diff([]byte(generated), b); diff != "" {
		t.Errorf("all else (-want +got):\n%s", diff)
	}
}

func TestTimestamps(t *testing.T) {
	tests := []struct {
		name        string
		options     []byte
		value, echo uint32
		ok          bool
	}{
		{"none", nil, 0, 0, false},
		{"aligned", []byte{1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9}, 256, 9, true},
		{"after others", append(appendSYNOptions(nil, 1460, 5, true), 0), 5, 0, true},
		{"behind the end", []byte{0, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9}, 0, 0, false},
		{"cut", []byte{8, 10, 0, 0, 1, 0, 0, 0, 0}, 0, 0, false},
		{"length 0", []byte{5, 0, 8, 10}, 0, 0, false},
		{"length alone missing", []byte{8}, 0, 0, false},
		{"wrong length", []byte{8, 4, 0, 0}, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, echo, ok := timestamps(tt.options)
			if value != tt.value || echo != tt.echo || ok != tt.ok {
				t.Errorf("%d, %d, %v; want %d, %d, %v", value, echo, ok, tt.value, tt.echo, tt.ok)
			}
		})
	}
}

func FuzzTimestamps(f *testing.F) {
	f.Add([]byte{1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9}) // as Linux sends them
	f.Add([]byte{8, 10, 0})                            // cut
	f.Add([]byte{5, 0})                                // a length that would never advance
	f.Fuzz(func(t *testing.T, options []byte) {
		defer bounded.Input(t, len(options))()
		value, echo, ok := timestamps(options)
		if ok && !bytes.Contains(options, appendTimestamps(nil, value, echo)[2:]) {
			t.Errorf("%d, %d are not in %x", value, echo, options)
		}
	})
}

func TestISN(t *testing.T) {
	secret, flow := seed(), tupleOf(generatedGet(t))
	first := isn(secret, flow, 0)
	if got := isn(secret, flow, 64_000) - first; got != 1000 {
		t.Errorf("64 us are %d ticks, want 1000", got)
	}
	flow.dst = flow.src
	if isn(secret, flow, 0) == first {
		t.Error("another flow has the same number")
	}
}

func TestStampMemory(t *testing.T) {
	var m stampMemory
	flow := tupleOf(generatedGet(t))
	for _, step := range []struct {
		value uint32
		want  bool
	}{{100, true}, {100, true}, {99, false}, {101, true}, {0x80000000, true}, {0xffffffff, true}, {5, true}, {0xfffffff0, false}} {
		if got := m.mayOffer(flow, step.value, 0); got != step.want {
			t.Errorf("%d: %v, want %v", step.value, got, step.want)
		}
	}
	const minute = 60e9
	m = stampMemory{}
	for _, step := range []struct {
		at    int64
		value uint32
		want  bool
	}{{minute, 100, true}, {4.9 * minute, 99, false}, {5.1 * minute, 99, false}, {8.9 * minute, 99, false}, {9.2 * minute, 99, true}} {
		if got := m.mayOffer(flow, step.value, step.at); got != step.want {
			t.Errorf("after %v min: %v, want %v", step.at/minute, got, step.want)
		}
	}
	if len(m.now)+len(m.before) != 1 {
		t.Errorf("%d flows are remembered, want 1", len(m.now)+len(m.before))
	}
}
