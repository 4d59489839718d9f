package dataset

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

// classicFile writes a pcap file by hand, so that any byte order and link type can be had.
func classicFile(order binary.AppendByteOrder, magic, link uint32, packets []packet.Packet) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	for _, v := range []uint32{0, 0, 65535, link} {
		b = order.AppendUint32(b, v)
	}
	for _, p := range packets {
		fraction := p.Time.Nanosecond()
		if magic == magicMicro {
			fraction /= 1000
		}
		for _, v := range []int{int(p.Time.Unix()), fraction, len(p.Frame), len(p.Frame)} {
			b = order.AppendUint32(b, uint32(v))
		}
		b = append(b, p.Frame...)
	}
	return b
}

// mustNg writes a pcapng file with gopacket: one interface for each link type, packets in turn.
func mustNg(tb testing.TB, packets []packet.Packet, links ...layers.LinkType) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: "a", LinkType: links[0], TimestampResolution: 9}, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		tb.Fatal(err)
	}
	for _, link := range links[1:] {
		if _, err := w.AddInterface(pcapgo.NgInterface{Name: "b", LinkType: link, TimestampResolution: 9}); err != nil {
			tb.Fatal(err)
		}
	}
	for i, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Frame), Length: len(p.Frame), InterfaceIndex: i % len(links)}
		if err := w.WritePacket(info, p.Frame); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// ngBlock is a pcapng block by hand.
func ngBlock(order binary.AppendByteOrder, kind uint32, body ...byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := order.AppendUint32(nil, kind)
	b = order.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return order.AppendUint32(b, uint32(len(body)+12))
}

func bigEndianNg(frame []byte) []byte {
	order := binary.BigEndian
	b := ngBlock(order, magicSection, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	// Ethernet, resolution 2^-10 s, offset 100 s
	b = append(b, ngBlock(order, blockInterface, 0, 1, 0, 0, 0, 0, 0, 0,
		0, optionResolution, 0, 1, 0x8a, 0, 0, 0, 0, optionOffset, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0)...)
	b = append(b, ngBlock(order, 0x0bad, 1, 2, 3)...)        // a block that nobody knows
	body := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x00} // interface 0, 2560 ticks: 2.5 s
	body = order.AppendUint32(body, uint32(len(frame)))
	body = order.AppendUint32(body, uint32(len(frame)))
	b = append(b, ngBlock(order, blockEnhanced, append(body, frame...)...)...)
	old := []byte{0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0x0a, 0x00} // 9 drops
	old = order.AppendUint32(old, uint32(len(frame)))
	old = order.AppendUint32(old, uint32(len(frame)+1)) // cut by a snap length
	b = append(b, ngBlock(order, blockPacketOld, append(old, frame...)...)...)
	return append(b, ngBlock(order, blockSimple, append(order.AppendUint32(nil, uint32(len(frame))), frame...)...)...)
}

func TestReadFile(t *testing.T) {
	nano := testPackets("x", 0, 3, 60)
	micro := testPackets("x", 0, 3, 60)
	for i := range micro {
		micro[i].Time = micro[i].Time.Truncate(time.Microsecond)
	}
	cut := classicFile(binary.LittleEndian, magicMicro, linkEthernet, micro)
	binary.LittleEndian.PutUint32(cut[fileHeaderBytes+12:], 1500) // the first was longer on the wire
	short := []packet.Packet{{Time: nano[0].Time, Frame: nano[0].Frame[:13]}, nano[1]}
	big := bigEndianNg(nano[0].Frame)
	for _, tt := range []struct {
		name  string
		data  []byte
		want  []packet.Packet
		stats FileStats
	}{
		{"µs, little endian", classicFile(binary.LittleEndian, magicMicro, linkEthernet, micro), micro, FileStats{Packets: 3}},
		{"µs, big endian", classicFile(binary.BigEndian, magicMicro, linkEthernet, micro), micro, FileStats{Packets: 3}},
		{"ns, little endian", classicFile(binary.LittleEndian, magicNano, linkEthernet, nano), nano, FileStats{Packets: 3}},
		{"ns, big endian", classicFile(binary.BigEndian, magicNano, linkEthernet, nano), nano, FileStats{Packets: 3}},
		{"frame check sequence", classicFile(binary.LittleEndian, magicNano, 0x14000000|linkEthernet, nano), nano, FileStats{Packets: 3}},
		{"no packets", classicFile(binary.LittleEndian, magicNano, linkEthernet, nil), nil, FileStats{}},
		{"cut by the snap length", cut, micro[1:], FileStats{Packets: 2, Cut: 1}},
		{"shorter than Ethernet", classicFile(binary.LittleEndian, magicNano, linkEthernet, short), nano[1:2], FileStats{Packets: 1, Short: 1}},
		{"pcapng", mustNg(t, nano, layers.LinkTypeEthernet), nano, FileStats{Packets: 3}},
		{"pcapng, two sections", append(mustNg(t, nano[:1], layers.LinkTypeEthernet), mustNg(t, nano[1:], layers.LinkTypeEthernet)...),
			nano, FileStats{Packets: 3}},
		{"pcapng, big endian and odd", big,
			[]packet.Packet{{Label: "x", Time: time.Unix(102, 5e8), Frame: nano[0].Frame}, {Label: "x", Time: time.Unix(0, 0), Frame: nano[0].Frame}},
			FileStats{Packets: 2, Cut: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.pcap")
			mustWrite(t, path, tt.data)
			got, stats, err := ReadFile(path, "x")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, samePackets()); diff != "" {
				t.Errorf("packets (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.stats, stats); diff != "" {
				t.Errorf("stats (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLinkTypes: whatever carried the packet, IPOf finds it.
func TestLinkTypes(t *testing.T) {
	ip := append([]byte{0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, "data"...)
	cooked := append(make([]byte, 14), 8, 0)
	cookedNew := append([]byte{8, 0}, make([]byte, 18)...)
	tagged := append(make([]byte, 12), 0x81, 0, 0, 100, 8, 0)
	var ng []packet.Packet
	for _, tt := range []struct {
		name string
		link uint32
		data []byte
	}{
		{"ethernet", linkEthernet, append(append(make([]byte, 12), 8, 0), ip...)},
		{"vlan", linkEthernet, append(tagged, ip...)},
		{"raw", linkRaw, ip},
		{"raw, old number", linkRawOld, ip},
		{"raw, BSD's number", linkRawBSD, ip},
		{"IPv4", linkIPv4, ip},
		{"cooked", linkCooked, append(cooked, ip...)},
		{"cooked, new", linkCookedNew, append(cookedNew, ip...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.pcap")
			p := packet.Packet{Time: time.Unix(1, 0), Frame: tt.data}
			ng = append(ng, p)
			mustWrite(t, path, classicFile(binary.LittleEndian, magicMicro, tt.link, []packet.Packet{p, {Time: p.Time}}))
			got, stats, err := ReadFile(path, "")
			if err != nil || stats != (FileStats{Packets: 1, Short: 1}) {
				t.Fatalf("%v, %+v", err, stats)
			}
			found, err := packet.IPOf(got[0].Frame)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(ip, found); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "in.pcapng")
	mustWrite(t, path, mustNg(t, []packet.Packet{ng[0], ng[2], ng[6]}, layers.LinkTypeEthernet, layers.LinkTypeRaw, layers.LinkTypeLinuxSLL))
	got, _, err := ReadFile(path, "")
	if err != nil || len(got) != 3 {
		t.Fatalf("pcapng of three link types: %d packets, %v", len(got), err)
	}
	for i, p := range got {
		if found, err := packet.IPOf(p.Frame); err != nil || !bytes.Equal(found, ip) {
			t.Errorf("packet %d: % x, %v", i, found, err)
		}
	}
	if frame, err := toEthernet(linkIPv6, []byte{0x60}); err != nil || frame[12] != 0x86 {
		t.Errorf("IPv6: % x, %v", frame, err)
	}
}

// TestFileErrors pins the text after the path.
func TestFileErrors(t *testing.T) {
	packets := testPackets("x", 0, 1234, 60)
	whole := classicFile(binary.LittleEndian, magicNano, linkEthernet, packets)
	ng := mustNg(t, packets[:2], layers.LinkTypeEthernet)
	patched := func(data []byte, at int, b ...byte) []byte {
		out := bytes.Clone(data)
		copy(out[at:], b)
		return out
	}
	const advice = `: to go on with those, cut the rest off with "tcpdump -r PATH -w whole.pcap"`
	for _, tt := range []struct {
		name string
		data []byte
		want string
		read int
	}{
		{"in a packet", append(bytes.Clone(whole), whole[24:99]...), "truncated after 1,234 whole packets" + advice, 1234},
		{"in a record header", append(bytes.Clone(whole), 1), "truncated after 1,234 whole packets" + advice, 1234},
		{"after a record header", whole[:24+16], "truncated after 0 whole packets" + advice, 0},
		{"in the file header", whole[:20], "truncated after 0 whole packets" + advice, 0},
		{"pcapng in a block", ng[:len(ng)-5], "truncated after 1 whole packets" + advice, 1},
		{"pcapng in the section header", ng[:9], "truncated after 0 whole packets" + advice, 0},
		{"record of 4 GB", patched(whole, 24+8, 255, 255, 255, 255), "damaged after 0 whole packets (a record of 4294967295 bytes)" + advice, 0},
		{"pcapng block of 4 GB", patched(ng, 4, 255, 255, 255, 255), "damaged after 0 whole packets (a block of 4294967295 bytes)" + advice, 0},
		{"pcapng byte order", patched(ng, 8, 1, 2, 3, 4), "damaged after 0 whole packets (a section without a byte order)" + advice, 0},
		{"pcapng end", patched(ng, len(ng)-4, 16), "damaged after 1 whole packets (a block of 92 bytes that ends as one of 16)" + advice, 1},
		{"empty", nil, "empty: there is nothing in it", 0},
		{"text", []byte("hello, world"), "not a pcap or pcapng file", 0},
		{"three bytes", []byte("abc"), "not a pcap or pcapng file", 0},
		{"gzip", []byte{0x1f, 0x8b, 8, 0}, "compressed: unpack it with gunzip first", 0},
		{"modified pcap", classicFile(binary.LittleEndian, magicModified, 1, nil), "a modified pcap format: convert it with editcap -F nsecpcap", 0},
		{"wireless", classicFile(binary.LittleEndian, magicNano, 105, packets),
			"link type 105 (see tcpdump.org/linktypes.html) cannot be read: Ethernet, raw IP and Linux cooked captures can", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.pcap")
			mustWrite(t, path, tt.data)
			got, _, err := ReadFile(path, "x")
			var fileErr *FileError
			if !errors.As(err, &fileErr) {
				t.Fatalf("%v, want a *FileError", err)
			}
			if diff := cmp.Diff(path+": "+strings.ReplaceAll(tt.want, "PATH", path), err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if len(got) != tt.read {
				t.Errorf("%d packets, want %d", len(got), tt.read)
			}
		})
	}
	_, _, err := ReadFile("/nonexistent.pcap", "x")
	if want := "/nonexistent.pcap: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestAdviceWorks: tcpdump really cuts a truncated file back, as the error says.
func TestAdviceWorks(t *testing.T) {
	packets := testPackets("x", 0, 10, 60)
	data := classicFile(binary.LittleEndian, magicNano, linkEthernet, packets)
	dir := t.TempDir()
	torn, whole := filepath.Join(dir, "torn.pcap"), filepath.Join(dir, "whole.pcap")
	mustWrite(t, torn, data[:len(data)-7])
	cmd := exec.Command("tcpdump", "-r", torn, "--time-stamp-precision=nano", "-w", whole)
	out, _ := cmd.CombinedOutput() // it fails, too, after it has written
	got, stats, err := ReadFile(whole, "x")
	if err != nil || stats.Packets != 9 {
		t.Fatalf("%+v, %v; tcpdump said %s", stats, err, out)
	}
	if diff := cmp.Diff(packets[:9], got, samePackets()); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
}

// TestOthersReadOurs: tcpdump and gopacket understand a store's file.
func TestOthersReadOurs(t *testing.T) {
	packets := testPackets("x", 0, 25, 60)
	data := mustFile(t, packets)
	if diff := cmp.Diff(ownHeader(), data[:fileHeaderBytes]); diff != "" {
		t.Errorf("header as written by gopacket (-want +got):\n%s", diff)
	}
	path := filepath.Join(t.TempDir(), "ours.pcap")
	mustWrite(t, path, data)
	if out, err := exec.Command("tcpdump", "--count", "-r", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "25 packets") {
		t.Errorf("tcpdump: %v\n%s", err, out)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range packets {
		frame, info, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(frame, want.Frame) || !info.Timestamp.Equal(want.Time) {
			t.Fatalf("packet %d: %v at %v, %v", i, frame, info.Timestamp, err)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last packet: %v", err)
	}
}

// FuzzReadForeign: no file makes the reader panic, take more memory than
// there are bytes, or count what it did not return.
func FuzzReadForeign(f *testing.F) {
	packets := testPackets("x", 0, 3, 60)
	f.Add(classicFile(binary.LittleEndian, magicMicro, linkEthernet, packets))
	f.Add(classicFile(binary.BigEndian, magicNano, linkCooked, packets))
	f.Add(mustNg(f, packets, layers.LinkTypeEthernet, layers.LinkTypeRaw))
	f.Add(bigEndianNg(packets[0].Frame)) // options, unknown blocks, all three packet blocks
	f.Add([]byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a})
	f.Fuzz(func(t *testing.T, data []byte) {
		defer bounded.Input(t, len(data))()
		count, size := 0, 0
		stats, err := readForeign(bufio.NewReader(bytes.NewReader(data)), func(_ time.Time, frame []byte) {
			count++
			size += len(frame)
		})
		if count != stats.Packets || size > len(data)+packet.EthernetHeaderLen*count {
			t.Errorf("%d packets of %d bytes from a file of %d, stats %+v", count, size, len(data), stats)
		}
		if err != nil && strings.Contains(explain(err, stats, "in"), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
	})
}

// FuzzWalk: whatever a crash left behind, what is kept of it is whole, and is
// found again when the rest has been cut off.
func FuzzWalk(f *testing.F) {
	f.Add(mustFile(f, testPackets("x", 0, 3, 60)))
	f.Add(mustFile(f, testPackets("x", 0, 3, 60))[:100]) // torn
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		defer bounded.Input(t, len(data))()
		extentOf := func(data []byte) (extent, error) {
			r := bufio.NewReader(bytes.NewReader(data))
			return walk(r, func(_, n int) error {
				_, err := r.Discard(n)
				return err
			})
		}
		first, err := extentOf(data)
		if err != nil && !errors.Is(err, errNotOurs) {
			t.Fatal(err)
		}
		if first.whole > int64(len(data)) {
			t.Fatalf("%+v in a file of %d bytes", first, len(data))
		}
		if second, err := extentOf(data[:first.whole]); err != nil || second != first {
			t.Errorf("first %+v, cut back %+v, %v", first, second, err)
		}
	})
}
