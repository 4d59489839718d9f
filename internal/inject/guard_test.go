package inject

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/lab/labtest"
)

// Labels of the guard's tests, by index; the numbers of their answers in
// bpf/expect.h are the same.
const (
	labelNone = iota
	labelEcho
	labelDNS
	labelHTTP
	labelReply
	labels
)

// What the guard returns.
const (
	drop     = 2
	redirect = 7
)

var (
	wireMAC = net.HardwareAddr{2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee}
	hopMAC  = [6]byte{2, 1, 2, 3, 4, 5}
)

// mustGuard loads the guard with maps of its own.
func mustGuard(tb testing.TB, expectations uint32, allow ...string) *Injector {
	tb.Helper()
	return mustGuardFor(tb, wireMAC, expectations, allow...)
}

func mustGuardFor(tb testing.TB, mac net.HardwareAddr, expectations uint32, allow ...string) *Injector {
	tb.Helper()
	labtest.RequireRoot(tb)
	spec, err := loadGuard()
	if err != nil {
		tb.Fatal(err)
	}
	spec.Maps[guardMapExpectations].MaxEntries = expectations
	in := &Injector{
		options: Options{Labels: make([]Label, labels), Recorder: nobody{}},
		wire:    &net.Interface{Index: 1, HardwareAddr: mac, MTU: 1500},
		exit:    exit{index: 1, mac: [6]byte(mac)},
	}
	for name, m := range map[string]**ebpf.Map{
		guardMapExpectations: &in.options.Maps.Expectations,
		guardMapRules:        &in.options.Maps.Rules,
		guardMapHints:        &in.options.Maps.Hints,
		guardMapAwaited:      &in.options.Maps.Awaited,
		guardMapTidings:      &in.options.Maps.Tidings,
		guardMapUntold:       &in.options.Maps.Untold,
	} {
		if *m, err = ebpf.NewMap(spec.Maps[name]); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { (*m).Close() })
	}
	for answer := range uint32(labels) {
		if err := in.options.Maps.Rules.Put(answer, guardRule{Answer: answer}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := in.load(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.guard.Close() })
	var prefixes []netip.Prefix
	for _, p := range allow {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	if err := in.SetAllow(prefixes, nil); err != nil {
		tb.Fatal(err)
	}
	if err := in.gate.openUntil(math.MaxInt64); err != nil { // these tests send nothing that would
		tb.Fatal(err)
	}
	return in
}

// mustIP builds an IPv4 packet from 10.77.1.11 with right checksums.
func mustIP(tb testing.TB, dst string, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	return mustIPOf(tb, &layers.IPv4{
		Version: 4, TTL: 63, Id: 0x1234, Flags: layers.IPv4DontFragment, Protocol: protocol,
		SrcIP: net.IPv4(10, 77, 1, 11), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}, above...)
}

func mustIPOf(tb testing.TB, ip *layers.IPv4, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	for _, l := range above {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(ip); err != nil {
				tb.Fatal(err)
			}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append([]gopacket.SerializableLayer{ip}, above...)...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func mustEcho(tb testing.TB, dst string, data string) []byte {
	tb.Helper()
	return mustIP(tb, dst, layers.IPProtocolICMPv4,
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 77, Seq: 3}, gopacket.Payload(data))
}

// frameOf is what the sender makes of a packet.
func frameOf(ip []byte, flags uint8, label int) []byte {
	frame := make([]byte, headerLen+len(ip))
	copy(frame[headerLen:], ip)
	putHeader(frame, hopMAC, meta{flags: flags, label: label, id: frameID})
	return frame
}

const (
	single  = metaOpens | metaGenerated
	frameID = 0x80000007
)

// passageOf sums the guard's counts of a label over the CPUs.
func passageOf(tb testing.TB, in *Injector, label int) guardPassage {
	tb.Helper()
	var perCPU []guardPassage
	if err := in.guard.Passages.Lookup(uint32(label), &perCPU); err != nil {
		tb.Fatal(err)
	}
	return sumPassages(perCPU)
}

// mustTold counts what the guard has told of the labels' packets.
func mustTold(tb testing.TB, in *Injector, labels ...int) guardPassage {
	tb.Helper()
	ring, err := ringbuf.NewReader(in.options.Maps.Tidings)
	if err != nil {
		tb.Fatal(err)
	}
	defer ring.Close()
	ring.SetDeadline(time.Unix(1, 0)) // passed: what is there is read, and no more
	var told guardPassage
	for {
		record, err := ring.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return told
		}
		if err != nil {
			tb.Fatal(err)
		}
		var t guardTold
		if err := binary.Read(bytes.NewReader(record.RawSample), binary.NativeEndian, &t); err != nil {
			tb.Fatal(err)
		}
		if t.Id != frameID || !slices.Contains(labels, int(t.Label)) {
			tb.Errorf("told %+v, want id %#x and a label of %v", t, frameID, labels)
		}
		switch t.What {
		case guardTidingTIDING_UNASKED:
			told.Unasked++
		case guardTidingTIDING_BLOCKED:
			told.Blocked++
		case guardTidingTIDING_FULL:
			told.Full++
		case guardTidingTIDING_BUSY:
			told.Busy++
		case guardTidingTIDING_JOINED:
			if t.Other != frameID {
				tb.Errorf("joined %#x, want %#x", t.Other, frameID)
			}
		default:
			tb.Errorf("told %+v", t)
		}
	}
}

var ignoreLayout = cmpopts.IgnoreFields(guardPassage{}, "_")

func TestGuard(t *testing.T) {
	const inside, outside = "10.77.2.80", "10.77.3.80"
	echo := mustEcho(t, inside, "0123456789012345678901234567890123456789")
	foreign := frameOf(echo, single, labelEcho)
	foreign[6] = 0x00 // a real card's address
	ipv6 := frameOf(echo, single, labelEcho)
	binary.BigEndian.PutUint16(ipv6[12:], 0x86dd)
	arp := frameOf(echo, single, labelEcho)
	binary.BigEndian.PutUint16(arp[12:], 0x0806)
	tagged := frameOf(append([]byte{0, 5, 8, 0}, echo...), single, labelEcho)
	binary.BigEndian.PutUint16(tagged[12:], 0x8100)
	version := bytes.Clone(echo)
	version[0] = 0x65
	headerLength := bytes.Clone(echo)
	headerLength[0] = 0x44
	fragment := bytes.Clone(echo)
	fragment[6] = 0x20
	optioned := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolICMPv4, SrcIP: net.IPv4(10, 77, 1, 11), DstIP: net.IPv4(10, 77, 2, 80),
		Options: []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}}
	syn := mustIP(t, inside, layers.IPProtocolTCP, &layers.TCP{SrcPort: 4000, DstPort: 80, Seq: 5, SYN: true})
	query := mustIP(t, inside, layers.IPProtocolUDP, &layers.UDP{SrcPort: 4000, DstPort: 53},
		&layers.DNS{ID: 9, QDCount: 1, Questions: []layers.DNSQuestion{{Name: []byte("a.test"), Type: 1, Class: 1}}})
	tests := []struct {
		name   string
		frame  []byte
		action uint32
		label  int
		want   guardPassage
	}{
		{"echo", frameOf(echo, single, labelEcho), redirect, labelEcho, guardPassage{Expected: 1, OnWire: 1}},
		{"query", frameOf(query, single, labelDNS), redirect, labelDNS, guardPassage{Expected: 1, OnWire: 1}},
		{"no answer expected", frameOf(echo, single, labelNone), redirect, labelNone, guardPassage{Unasked: 1, OnWire: 1}},
		{"SYN of a conversation", frameOf(syn, metaOpens|metaConversation, labelHTTP), redirect, labelHTTP, guardPassage{Expected: 1}},
		{"ACK of a conversation", frameOf(syn, metaConversation, labelHTTP), redirect, labelHTTP, guardPassage{}},
		{"segment of a conversation", frameOf(syn, metaConversation|metaGenerated, labelHTTP), redirect, labelHTTP, guardPassage{OnWire: 1}},
		{"IP options", frameOf(mustIPOf(t, optioned, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}), single, labelEcho),
			redirect, labelEcho, guardPassage{Expected: 1, OnWire: 1}},
		{"fragment", frameOf(fragment, single, labelEcho), redirect, labelEcho, guardPassage{Expected: 1, OnWire: 1}},
		{"destination outside", frameOf(mustEcho(t, outside, "x"), single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
		{"broadcast", frameOf(mustEcho(t, "255.255.255.255", "x"), single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
		{"multicast", frameOf(mustEcho(t, "224.0.0.1", "x"), single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
		{"ACK for outside", frameOf(mustEcho(t, outside, "x"), metaConversation, labelHTTP), drop, labelHTTP, guardPassage{}},
		{"somebody else's frame", foreign, drop, labelEcho, guardPassage{}},
		{"no such label", frameOf(echo, single, labels), drop, labelEcho, guardPassage{}},
		{"IPv6", ipv6, drop, labelEcho, guardPassage{Blocked: 1}},
		{"ARP", arp, drop, labelEcho, guardPassage{Blocked: 1}},
		{"VLAN tag", tagged, drop, labelEcho, guardPassage{Blocked: 1}},
		{"version 6", frameOf(version, single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
		{"header of 16 bytes", frameOf(headerLength, single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
		{"bytes behind the packet", append(frameOf(echo, single, labelEcho), 0), drop, labelEcho, guardPassage{Blocked: 1}},
		{"packet cut", frameOf(echo[:len(echo)-1], single, labelEcho), drop, labelEcho, guardPassage{Blocked: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := mustGuard(t, 1000, "10.77.2.0/24")
			action, out, err := in.guard.Guard.Test(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if action != tt.action {
				t.Errorf("action %d, want %d", action, tt.action)
			}
			want := bytes.Clone(tt.frame)
			if tt.action == redirect {
				copy(want[6:12], wireMAC)
			}
			if diff := cmp.Diff(want, out); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, passageOf(t, in, tt.label), ignoreLayout); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			told := guardPassage{Unasked: tt.want.Unasked, Blocked: tt.want.Blocked}
			if diff := cmp.Diff(told, mustTold(t, in, tt.label), ignoreLayout); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGuardFailsClosed(t *testing.T) {
	in := mustGuard(t, 1000) // no prefix allowed
	action, _, err := in.guard.Guard.Test(frameOf(mustEcho(t, "10.77.2.80", "x"), single, labelEcho))
	if err != nil {
		t.Fatal(err)
	}
	if action != drop {
		t.Errorf("action %d with an empty allow-list, want %d", action, drop)
	}
}

// TestGuardMarks reads the mark that capture skips frames by.
func TestGuardMarks(t *testing.T) {
	in := mustGuard(t, 1000, "10.77.2.0/24")
	var out struct {
		Len, PacketType, Mark uint32
		Rest                  [45]uint32
	}
	_, err := in.guard.Guard.Run(&ebpf.RunOptions{
		Data: frameOf(mustEcho(t, "10.77.2.80", "x"), single, labelEcho), DataOut: make([]byte, 256), ContextOut: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Mark != 0x70616367 {
		t.Errorf("mark %#x, want 0x70616367", out.Mark)
	}
}

// TestGuardRefusesWhatItCannotExpect fills the table, and finds entries that
// cannot be joined.
func TestGuardRefusesWhatItCannotExpect(t *testing.T) {
	in := mustGuard(t, 1, "10.77.2.0/24")
	mustTest := func(data string, label int) uint32 {
		t.Helper()
		action, _, err := in.guard.Guard.Test(frameOf(mustEcho(t, "10.77.2.80", data), single, label))
		if err != nil {
			t.Fatal(err)
		}
		return action
	}
	if action := mustTest("first", labelEcho); action != redirect {
		t.Fatalf("first packet: action %d", action)
	}
	if action := mustTest("first", labelEcho); action != redirect {
		t.Errorf("equal packet: action %d, want %d", action, redirect)
	}
	if action := mustTest("first", labelReply); action != drop {
		t.Errorf("equal packet of another label: action %d, want %d", action, drop)
	}
	if action := mustTest("second", labelEcho); action != drop {
		t.Errorf("packet beyond the table: action %d, want %d", action, drop)
	}
	mustSetState(t, in, 0x80000000) // as the sweeper does before it deletes
	if action := mustTest("first", labelEcho); action != drop {
		t.Errorf("packet whose entry is being deleted: action %d, want %d", action, drop)
	}
	want := guardPassage{Expected: 2, OnWire: 2, Full: 1, Busy: 1}
	if diff := cmp.Diff(want, passageOf(t, in, labelEcho), ignoreLayout); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(guardPassage{Busy: 1}, passageOf(t, in, labelReply), ignoreLayout); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(guardPassage{Full: 1, Busy: 2}, mustTold(t, in, labelEcho, labelReply), ignoreLayout); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// mustSetState writes the state of the only expectation.
func mustSetState(tb testing.TB, in *Injector, state uint32) {
	tb.Helper()
	var key guardExpectKey
	var e guardExpectation
	if !in.options.Maps.Expectations.Iterate().Next(&key, &e) {
		tb.Fatal("no expectation")
	}
	e.State = state
	if err := in.options.Maps.Expectations.Put(key, e); err != nil {
		tb.Fatal(err)
	}
}
