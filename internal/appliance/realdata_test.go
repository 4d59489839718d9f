package appliance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
)

// ethernet is the link type of most files (tcpdump.org/linktypes.html).
const ethernet = 1

// mustFrames writes frames of a link type to a classic pcap file of microseconds.
func mustFrames(t *testing.T, path string, link uint32, frames ...[]byte) {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	must(t, w.WriteFileHeader(65536, layers.LinkTypeEthernet))
	binary.LittleEndian.PutUint32(file.Bytes()[20:], link) // gopacket knows those of a byte
	for _, f := range frames {
		must(t, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(f), Length: len(f)}, f))
	}
	must(t, os.WriteFile(path, file.Bytes(), 0o644))
}

// query is an IP packet of UDP with a payload of size bytes.
func query(t *testing.T, ip gopacket.NetworkLayer, id, size int) []byte {
	t.Helper()
	udp := &layers.UDP{SrcPort: layers.UDPPort(40000 + id), DstPort: 53}
	must(t, udp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	must(t, gopacket.SerializeLayers(buf, opts, ip.(gopacket.SerializableLayer), udp, gopacket.Payload(bytes.Repeat([]byte{byte(id)}, size))))
	return buf.Bytes()
}

func over4(id int, fragment layers.IPv4Flag) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 77, 1, 11}, DstIP: []byte{10, 77, 2, 53}, Id: uint16(id), Flags: fragment}
}

func over6() *layers.IPv6 {
	address := func(last byte) []byte { return append([]byte{0xfd, 0}, append(make([]byte, 13), last)...) }
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: address(1), DstIP: address(2)}
}

func queries4(t *testing.T, n, size int) [][]byte {
	var out [][]byte
	for id := range n {
		out = append(out, query(t, over4(id, 0), id, size))
	}
	return out
}

// behind puts a header before each packet.
func behind(header []byte, packets [][]byte) [][]byte {
	var out [][]byte
	for _, p := range packets {
		out = append(out, append(bytes.Clone(header), p...))
	}
	return out
}

// etherHeader is an Ethernet header of EtherTypes, tags before the last.
func etherHeader(types ...uint16) []byte {
	h := make([]byte, 12)
	for i, ethertype := range types {
		if i > 0 {
			h = append(h, 0, 7) // the tag's VLAN
		}
		h = binary.BigEndian.AppendUint16(h, ethertype)
	}
	return h
}

// TestTrainOnForeignCaptures trains on what other people's tools write. Each file gives a model, and one line where
// packets are left out, or one line that says why not.
func TestTrainOnForeignCaptures(t *testing.T) {
	withoutRace(t)
	ether4, ether6 := etherHeader(0x0800), etherHeader(0x86dd)
	plain := func(t *testing.T) [][]byte { return behind(ether4, queries4(t, 40, 20)) }
	write := func(link uint32, frames func(*testing.T) [][]byte) func(*testing.T) {
		return func(t *testing.T) { mustFrames(t, "in.pcap", link, frames(t)...) }
	}
	// tool makes in.pcap of base.pcap, which is 40 plain packets.
	tool := func(command string) func(*testing.T) {
		return func(t *testing.T) {
			mustFrames(t, "base.pcap", ethernet, plain(t)...)
			if out, err := exec.Command("sh", "-ec", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
	}
	mixed := func(t *testing.T) [][]byte {
		frames := append(plain(t), behind(ether6, [][]byte{query(t, over6(), 1, 20), query(t, over6(), 2, 20)})...)
		frames = append(frames, etherHeader(0x0806), etherHeader(0x88cc)) // ARP, LLDP
		frames = append(frames, behind(ether4, [][]byte{query(t, over4(1, layers.IPv4MoreFragments), 1, 20)})...)
		frames = append(frames, behind(ether4, queries4(t, 1, 3000))...) // as a network card's offload shows it
		torn := behind(ether4, queries4(t, 1, 20))[0]
		frames = append(frames, torn[:len(torn)-5])
		lying := bytes.Clone(torn)
		binary.BigEndian.PutUint16(lying[14+20+4:], 9999) // UDP's length
		return append(frames, lying)
	}
	for _, tt := range []struct {
		name   string
		make   func(*testing.T)
		packs  int // trained on; 0: refused
		stderr string
	}{
		{"microseconds", write(ethernet, plain), 40, ""},
		{"nanoseconds, by editcap", tool("editcap -F nsecpcap base.pcap in.pcap"), 40, ""},
		{"pcapng, by editcap", tool("editcap -F pcapng base.pcap in.pcap"), 40, ""},
		{"pcapng of two interfaces, by mergecap", tool("mergecap -F pcapng -w in.pcap base.pcap base.pcap"), 80, ""},
		{"rewritten by tcpdump", tool("tcpdump -q -r base.pcap -w in.pcap"), 40, ""},
		{"cut by a snap length, by editcap", tool("editcap -s 40 base.pcap cut.pcap; mergecap -w in.pcap base.pcap cut.pcap"), 40,
			"in.pcap: left out of 80 frames: 40 cut short\n"},
		{"all cut", tool("editcap -s 40 base.pcap in.pcap"), 0,
			"in.pcap: left out of 40 frames: 40 cut short\npacgan-appliance: in.pcap: no IP packets to learn for label \"dns\"\n"},
		{"link type that cannot be read, by editcap", tool("editcap -T ieee-802-11 base.pcap in.pcap"), 0,
			"pacgan-appliance: in.pcap: link type 105 (see tcpdump.org/linktypes.html) cannot be read: Ethernet, raw IP and Linux cooked captures can\n"},
		{"VLAN", write(ethernet, func(t *testing.T) [][]byte { return behind(etherHeader(0x8100, 0x0800), queries4(t, 40, 20)) }), 40, ""},
		{"QinQ", write(ethernet, func(t *testing.T) [][]byte { return behind(etherHeader(0x88a8, 0x8100, 0x0800), queries4(t, 40, 20)) }), 40, ""},
		{"three tags", write(ethernet, func(t *testing.T) [][]byte {
			return behind(etherHeader(0x88a8, 0x8100, 0x8100, 0x0800), queries4(t, 40, 20))
		}), 0, "in.pcap: left out of 40 frames: 40 that are not IP\npacgan-appliance: in.pcap: no IP packets to learn for label \"dns\"\n"},
		{"raw IP", write(101, func(t *testing.T) [][]byte { return queries4(t, 40, 20) }), 40, ""},
		{"Linux cooked", write(113, func(t *testing.T) [][]byte {
			return behind(append(make([]byte, 14), 8, 0), queries4(t, 40, 20))
		}), 40, ""},
		{"Linux cooked, version 2", write(276, func(t *testing.T) [][]byte {
			return behind(append([]byte{8, 0}, make([]byte, 18)...), queries4(t, 40, 20))
		}), 40, ""},
		{"IPv6 beside IPv4, and what is left out", write(ethernet, mixed), 42,
			"in.pcap: left out of 48 frames: 2 that are not IP, 1 cut short, 1 whose lengths do not agree, 1 that are fragments, 1 longer than 1,500 bytes\n"},
		{"all equal", write(ethernet, func(t *testing.T) [][]byte {
			one := behind(ether4, queries4(t, 1, 20))[0]
			return bytes.Split(bytes.Repeat(append(one, "|"...), 39), []byte("|"))[:39]
		}), 39, ""},
		{"full frames", write(ethernet, func(t *testing.T) [][]byte { return behind(ether4, queries4(t, 12, 1472)) }), 12, ""},
		{"no packets", write(ethernet, func(*testing.T) [][]byte { return nil }), 0,
			"pacgan-appliance: in.pcap: no IP packets to learn for label \"dns\"\n"},
		{"one packet", write(ethernet, func(t *testing.T) [][]byte { return plain(t)[:1] }), 0,
			"pacgan-appliance: train: label \"dns\" has 1 packets: at least 10 are needed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			tt.make(t)
			got := run(t, "train", "--label", "dns=in.pcap", "--out", "m", "--recipe", "tree")
			want := result{Code: ExitFailed, Stderr: tt.stderr}
			if tt.packs > 0 {
				want = result{ExitDone, "model m\n", tt.stderr}
				must(t, trainedOn(tt.packs))
				got.Stderr = withoutPhases(got.Stderr)
			}
			if got != want {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
}

// trainedOn reports a model in m that was not trained on so many packets of label dns, or does not give packets.
func trainedOn(packets int) error {
	m, man, err := model.Load("m")
	if err != nil {
		return err
	}
	if got := man.Training.Packets["dns"]; got != packets {
		return fmt.Errorf("trained on %d packets, want %d", got, packets)
	}
	s, err := m.NewSampler("dns", 1)
	if err != nil {
		return err
	}
	_, err = s.Next(nil)
	return err
}

// withoutPhases leaves the lines that do not say how far the work is.
func withoutPhases(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "train ") && !strings.HasPrefix(line, "measure") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestTrainOnOddSets makes steps on sets that leave a GAN little to learn.
func TestTrainOnOddSets(t *testing.T) {
	withoutRace(t)
	t.Chdir(t.TempDir())
	ether4 := etherHeader(0x0800)
	one := behind(ether4, queries4(t, 1, 20))[0]
	var equal [][]byte
	for range 30 {
		equal = append(equal, one)
	}
	mustFrames(t, "equal.pcap", ethernet, equal...)
	mustFrames(t, "huge.pcap", ethernet, behind(ether4, queries4(t, 4000, 20))...)
	mustFrames(t, "small.pcap", ethernet, behind(ether4, queries4(t, 10, 60))...)
	for name, labels := range map[string][]string{
		"equal":                  {"--label", "dns=equal.pcap"},
		"huge and small":         {"--label", "huge=huge.pcap", "--label", "small=small.pcap"},
		"one label of two files": {"--label", "dns=small.pcap", "--label", "dns=equal.pcap"},
	} {
		t.Run(name, func(t *testing.T) {
			out := strings.ReplaceAll(name, " ", "-")
			got := run(t, append([]string{"train", "--out", out, "--steps", "2"}, labels...)...)
			if got.Code != ExitDone || withoutPhases(got.Stderr) != "" {
				t.Fatalf("%+v", got)
			}
			if got := run(t, "generate", "--model", out, "--out", out+".pcapng", "--count", "100"); got.Code != ExitDone {
				t.Errorf("generate: %+v", got)
			}
		})
	}
}

// TestNewest keeps what was captured after a time, and not too little.
func TestNewest(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(1e6+second, 0) }
	var captured []packet.Packet
	for second := range int64(10) {
		captured = append(captured, packet.Packet{Time: at(second)})
	}
	tests := []struct {
		since, least, want int
	}{{6, 0, 3}, {6, 3, 3}, {6, 5, 5}, {6, 50, 10}, {20, 0, 0}, {20, 4, 4}, {-1, 0, 10}}
	for _, tt := range tests {
		got := newest(captured, at(int64(tt.since)), tt.least)
		if len(got) != tt.want || tt.want > 0 && !got[len(got)-1].Time.Equal(at(9)) {
			t.Errorf("since %d, at least %d: %d packets, want the last %d", tt.since, tt.least, len(got), tt.want)
		}
	}
}
