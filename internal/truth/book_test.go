package truth

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/packet"
)

const testTimeout = 2 * time.Second

// sweepsToGiveUp is after how many sweeps a packet is given up at testTimeout.
const sweepsToGiveUp = 5*sweepsASec + lostSlack + 1

// desk is a Book and what it writes.
type desk struct {
	*Book
	dir string
	ip  []byte
}

func newDesk(tb testing.TB, o BookOptions) *desk {
	tb.Helper()
	if o == (BookOptions{}) {
		o = BookOptions{Timeout: testTimeout, Pending: 1 << 16, Bytes: 1 << 24}
	}
	d := &desk{dir: tb.TempDir(), ip: mustUDP(tb, "10.77.1.5", "10.77.2.2")}
	d.Book = NewBook(mustOpen(tb, d.dir, Options{}), o)
	d.SetLabel(3, Label{Name: "dns"})
	return d
}

// hand hands packets over, and returns the id of the last.
func (d *desk) hand(n int) (id uint32) {
	for range n {
		id = d.Handed(Packet{Label: 3, IP: d.ip, Tag: Captured.Tag(d.tail)}, 0)
	}
	return id
}

// fates are the verdicts and reasons in the files, in their order.
func (d *desk) fates(tb testing.TB) []string {
	tb.Helper()
	mustClose(tb, d.log)
	var got []string
	for r, err := range Read(d.dir) {
		if err != nil {
			tb.Fatal(err)
		}
		if r.Pacgan.Index != uint64(len(got)) || r.Pacgan.Label != "dns" {
			tb.Errorf("record %d: %+v", len(got), r.Pacgan)
		}
		fate := string(r.Pacgan.Verdict)
		if r.Pacgan.Reason != "" {
			fate += ": " + r.Pacgan.Reason
		}
		got = append(got, fate)
	}
	return got
}

func TestRecordsLeaveInOrder(t *testing.T) {
	d := newDesk(t, BookOptions{})
	d.hand(1)
	id := d.hand(1)
	d.Malformed(Packet{Label: 3, IP: d.ip[:5], Tag: Captured.Tag(2)}, &packet.FramingError{Reason: "5 bytes"})
	d.Failed(Packet{Label: 3, IP: d.ip, Tag: Captured.Tag(3)}, "no route")
	talk := uint32(1<<31 | 77)
	d.Handed(Packet{Label: 3, IP: d.ip, Tag: Captured.Tag(4)}, talk)
	refused := d.hand(1)
	d.Decide(talk, 1, End{Verdict: Rejected, Reason: "http 404"})
	d.Refused(refused, "send: no buffer space available")
	d.Decide(id, 1, End{Verdict: Blocked})
	d.Swept(0)
	if n := d.log.Stats().Written + uint64(d.log.front.records); n != 0 {
		t.Errorf("%d records left before the first packet had its verdict", n)
	}
	d.Decide(id-1, 1, End{Verdict: Answered, RTT: time.Millisecond})
	d.Decide(id-1, 1, End{Verdict: Rejected, Reason: "too late"}) // the first verdict stands
	d.Swept(0)
	want := []string{"answered", "blocked", "malformed: 5 bytes", "failed: no route", "rejected: http 404", "failed: send: no buffer space available"}
	if diff := cmp.Diff(want, d.fates(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(d.talks) != 0 || d.bytes != 0 {
		t.Errorf("%d conversations and %d bytes stay", len(d.talks), d.bytes)
	}
}

// TestEqualPackets: a reply to one of several equal packets is the oldest's.
func TestEqualPackets(t *testing.T) {
	d := newDesk(t, BookOptions{})
	first := d.hand(6)
	first -= 5
	other := first + 2
	d.Joined(first+1, first, time.Time{})
	d.Joined(first+3, first+1, time.Time{})
	d.Decide(first+3, 1, End{Verdict: Answered, RTT: 1})
	d.Joined(first+4, first+3, time.Time{})
	d.Decide(other, 1, End{Verdict: Unasked})
	d.Decide(first+4, 2, End{Verdict: Expired})
	d.Swept(0)
	d.Joined(first+5, first+4, time.Time{})
	d.Decide(first+5, 1, End{Verdict: Rejected, Reason: "rst"})
	d.Decide(first+5, 5, End{Verdict: Answered, RTT: 1})
	d.Swept(0)
	want := []string{"answered", "expired", "unasked", "expired", "rejected: rst", "answered"}
	if diff := cmp.Diff(want, d.fates(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// TestEqualPacketsLeftOneByOne: each has the time when it left itself, and what
// passed until the reply that it is given.
func TestEqualPacketsLeftOneByOne(t *testing.T) {
	d := newDesk(t, BookOptions{})
	began := time.Now()
	first := d.hand(3) - 2
	left := func(n int) time.Time { return began.Add(time.Duration(n) * time.Millisecond) }
	d.Joined(first+1, first, left(1))
	d.Joined(first+2, first+1, left(2))
	d.Decide(first+2, 1, End{Verdict: Answered, RTT: 4e6, Left: left(3), Span: 4e6})
	d.Decide(first+2, 1, End{Verdict: Answered, RTT: 5e6, Left: left(3), Span: 5e6})
	d.Decide(first+2, 1, End{Verdict: Expired, Left: left(3)})
	type times struct{ Left, Span, RTT int64 }
	var got []times
	d.Also(func(r *Record) {
		got = append(got, times{r.Timestamp.UnixNano() + r.Pacgan.Left - began.UnixNano(), r.Pacgan.Span, r.Pacgan.RTT})
	})
	d.Swept(0)
	if diff := cmp.Diff([]times{{1e6, 6e6, 6e6}, {2e6, 6e6, 6e6}, {3e6, 0, 0}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNoVerdictComes: what is not told is told to be unknown, and only then.
func TestNoVerdictComes(t *testing.T) {
	d := newDesk(t, BookOptions{})
	d.hand(1) // its frame is lost
	for range sweepsToGiveUp {
		d.Swept(0)
	}
	d.hand(2)
	id := d.hand(1)
	d.Swept(1) // of one of them nothing will be heard
	d.hand(1)
	for range sweepsToGiveUp {
		d.Swept(1)
		d.Decide(id, 1, End{Verdict: Answered, RTT: 1})
	}
	d.hand(1)
	d.Close(false)
	want := []string{
		"failed: lost before the guard", "unknown: detail lost", "unknown: detail lost", "answered",
		"failed: lost before the guard", "unknown: stopped before its verdict",
	}
	if diff := cmp.Diff(want, d.fates(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if n := d.Unknown(); n != 3 {
		t.Errorf("%d unknown, want 3", n)
	}
}

func TestPendingIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options BookOptions
	}{
		{"by number", BookOptions{Pending: 1500, Bytes: 1 << 30}},
		{"by bytes", BookOptions{Pending: 1 << 30, Bytes: 1500 * len(mustUDP(t, "10.77.1.5", "10.77.2.2"))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.options)
			last := d.hand(2000)
			d.Decide(last-1999, 1, End{Verdict: Answered, RTT: 1}) // has been forced out
			d.Decide(last, 1, End{Verdict: Answered, RTT: 1})
			d.Close(true)
			got := map[string]int{}
			for _, fate := range d.fates(t) {
				got[fate]++
			}
			want := map[string]int{"unknown: no room for more that is pending": 500, "failed: lost before the guard": 1499, "answered": 1}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIDsWrap goes beyond the last id that a frame has room for.
func TestIDsWrap(t *testing.T) {
	d := newDesk(t, BookOptions{})
	d.head, d.tail = 1<<31-2, 1<<31-2
	for i := range 5 {
		id := d.Handed(Packet{Label: 3, IP: d.ip, Tag: Captured.Tag(uint64(i))}, 0)
		if want := uint32(1<<31-2+i) & (1<<31 - 1); id != want {
			t.Errorf("id %#x, want %#x", id, want)
		}
	}
	d.Decide(1<<31-1, 1, End{Verdict: Answered, RTT: 1})
	d.Decide(0, 1, End{Verdict: Blocked})
	d.Close(false)
	want := []string{"unknown: stopped before its verdict", "answered", "blocked", "unknown: stopped before its verdict", "unknown: stopped before its verdict"}
	if diff := cmp.Diff(want, d.fates(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestDescribeFlow(t *testing.T) {
	src4, dst4 := netip.MustParseAddr("10.77.1.5"), netip.MustParseAddr("10.77.2.2")
	src6, dst6 := netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("2001:db8::2")
	for _, tt := range []struct {
		name string
		ip   []byte
		want Record
	}{
		{"udp", mustUDP(t, "10.77.1.5", "10.77.2.2"), Record{SrcIP: src4, SrcPort: 40000, DestIP: dst4, DestPort: 53, Proto: "UDP"}},
		{"tcp over IPv6", mustPacket(t, "2001:db8::5", "2001:db8::2", layers.IPProtocolTCP, &layers.TCP{SrcPort: 1, DstPort: 80}),
			Record{SrcIP: src6, SrcPort: 1, DestIP: dst6, DestPort: 80, Proto: "TCP"}},
		{"icmp", mustPacket(t, "10.77.1.5", "10.77.2.2", layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 1)}),
			Record{SrcIP: src4, DestIP: dst4, Proto: "ICMP", ICMPType: 8, ICMPCode: 1}},
		{"icmp for IPv6", mustPacket(t, "2001:db8::5", "2001:db8::2", layers.IPProtocolICMPv6,
			&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, gopacket.Payload("1234")),
			Record{SrcIP: src6, DestIP: dst6, Proto: "IPv6-ICMP", ICMPType: 128}},
		{"gre", mustPacket(t, "10.77.1.5", "10.77.2.2", layers.IPProtocolGRE, gopacket.Payload("1234")), Record{SrcIP: src4, DestIP: dst4, Proto: "47"}},
		{"no packet", []byte{0x45, 0}, Record{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := packet.ParseIP(tt.ip); err == nil {
				tt.want.CommunityID = packet.CommunityID(0, packet.FlowOf(p))
				tt.want.Pacgan.Fingerprint, _ = packet.FingerprintOf(p)
			}
			var got Record
			got.describeFlow(tt.ip)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(sameAddr), cmpopts.IgnoreFields(Record{}, "FlowID")); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if (got.FlowID != 0) != got.SrcIP.IsValid() || got.FlowID >= 1<<51 {
				t.Errorf("flow id %d", got.FlowID)
			}
		})
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func TestUUIDs(t *testing.T) {
	at := time.Date(2026, 11, 25, 8, 51, 7, 123_500_000, time.UTC)
	u := uuidOf(at, 0xffffffff, 5)
	if got, want := u.String(), fmt.Sprintf("%08x-%04x-7800-bfff-ffff00000005", at.UnixMilli()>>16, at.UnixMilli()&0xffff); got != want {
		t.Errorf("uuid %s, want %s", got, want)
	}
	last := uuidOf(at, 7, 0).String()
	for i := range 100 {
		next := uuidOf(at.Add(time.Duration(i/3)*time.Microsecond), 7, uint64(i+1)).String()
		if next <= last {
			t.Errorf("uuid %s after %s", next, last)
		}
		last = next
	}
}

func mustUDP(tb testing.TB, src, dst string) []byte {
	tb.Helper()
	return mustPacket(tb, src, dst, layers.IPProtocolUDP, &layers.UDP{SrcPort: 40000, DstPort: 53}, gopacket.Payload(make([]byte, 47)))
}

func mustPacket(tb testing.TB, src, dst string, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	from, to := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var network gopacket.NetworkLayer = &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	if from.Is6() {
		network = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	stack := []gopacket.SerializableLayer{network.(gopacket.SerializableLayer)}
	for _, l := range above {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(network); err != nil {
				tb.Fatal(err)
			}
		}
		stack = append(stack, l)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// BenchmarkBook is what a packet costs from its being handed over to its
// record's being in a file: cpu-ns/packet is all that the process used, for
// which a busy machine does not matter.
func BenchmarkBook(b *testing.B) {
	for name, packets := range map[string]bool{"records": false, "records-and-packets": true} {
		b.Run(name, func(b *testing.B) { benchmarkBook(b, packets) })
	}
}

func benchmarkBook(b *testing.B, packets bool) {
	d := newDesk(b, BookOptions{})
	d.log.options.Packets = packets
	origin := d.AddOrigin(Generator{Source: SourceModel, Model: "20261125T083830Z-78428678", ModelHash: "7842867878428678784286787842867878428678784286787842867878428678", Seed: 1764060667123456})
	b.ReportAllocs()
	var n uint64
	before := cpuTime(b)
	for b.Loop() {
		id := d.Handed(Packet{Label: 3, IP: d.ip, Tag: origin.Tag(n)}, 0)
		d.Decide(id, 1, End{Verdict: Answered, RTT: 135 * time.Microsecond})
		if n++; n%1000 == 0 {
			d.Swept(0)
		}
	}
	b.StopTimer()
	d.Close(true)
	if err := d.log.Close(); err != nil && !errors.Is(err, ErrClosed) {
		b.Fatal(err)
	}
	if s := d.log.Stats(); s.Written+s.Lost != n {
		b.Errorf("%+v of %d", s, n)
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(n), "cpu-ns/packet")
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
