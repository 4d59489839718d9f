package score

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/lab/ids"
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/packet"
)

// TestAgreesWithSuricata has Suricata read 50,000 flows whose ports are used again, mixed with other people's that are
// not in the truth, some of them on the same addresses and ports at the same time, and compares the join with what
// Suricata says itself: pcap_cnt, the number of the packet that raised the alert.
func TestAgreesWithSuricata(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs without the race detector")
	}
	if _, err := exec.LookPath("suricata"); err != nil {
		if os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
			t.Fatalf("%v: make deps-ids installs it", err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	tape := makeTape(50_000)
	tape.write(t, filepath.Join(dir, "tape.pcap"), filepath.Join(dir, "truth.jsonl"))
	if err := ids.Read(t.Context(), filepath.Join(dir, "suricata"), filepath.Join(dir, "tape.pcap"), ids.Rules()); err != nil {
		t.Fatal(err)
	}
	eve := ids.EVE(filepath.Join(dir, "suricata"))
	want, foreign := tape.alerts(t, eve)
	run := func(eve string) (Sensor, map[string]uint64) {
		s, err := Run(t.Context(), Options{Truth: filepath.Join(dir, "truth.jsonl"), Sources: []Source{{Name: "s", Kind: idslog.Suricata, Paths: []string{eve}}}})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		for _, g := range s.Sensors[0].Signatures {
			for _, on := range g.Fired {
				got[g.ID+" "+on.Label] = on.Alerts
			}
		}
		return s.Sensors[0], got
	}
	s, got := run(eve)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("alerts by signature and label (-pcap_cnt +join):\n%s", diff)
	}
	if s.Foreign != foreign || s.Ambiguous != 0 {
		t.Errorf("%d foreign alerts, by pcap_cnt %d; %d ambiguous", s.Foreign, foreign, s.Ambiguous)
	}
	if attributed := s.Alerts - foreign; attributed < 20_000 || foreign < 2_000 {
		t.Errorf("%d alerts on injected flows and %d on others: too few to tell", attributed, foreign)
	}
	t.Logf("%d alerts, %d of them foreign, %d pairs of signature and label; clock: %s", s.Alerts, foreign, len(want), s.Offset)

	// Where the log does not hold the packets, the times tell as much of all but those with company.
	s, got = run(mustStrip(t, eve))
	inCompany := func(pair string, _ uint64) bool { return strings.HasSuffix(pair, companyLabel) }
	wanted, with := maps.Clone(want), uint64(0)
	for pair, n := range wanted {
		if inCompany(pair, n) {
			with += n
		}
	}
	maps.DeleteFunc(wanted, inCompany)
	maps.DeleteFunc(got, inCompany)
	if diff := gocmp.Diff(wanted, got); diff != "" {
		t.Errorf("without packets, alerts by signature and label (-pcap_cnt +join):\n%s", diff)
	}
	if s.Ambiguous == 0 || s.Ambiguous > 2*with {
		t.Errorf("without packets, %d alerts are ambiguous; %d are on flows with company", s.Ambiguous, with)
	}
	t.Logf("without packets: %d foreign, %d ambiguous; %d alerts on flows with company", s.Foreign, s.Ambiguous, with)
}

// mustStrip writes the log again without the packets.
func mustStrip(tb testing.TB, eve string) string {
	tb.Helper()
	text, err := os.ReadFile(eve)
	if err != nil {
		tb.Fatal(err)
	}
	stripped := regexp.MustCompile(`,"packet":"[^"]*"`).ReplaceAll(text, nil)
	if len(stripped) == len(text) {
		tb.Fatal("no packets in the log")
	}
	path := filepath.Join(tb.TempDir(), "eve.json")
	if err := os.WriteFile(path, stripped, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// companyLabel is the label of flows with company.
const companyLabel = "company"

// label is that of a flow.
func (t *tape) label(number int) string {
	if t.flows[number].company {
		return companyLabel
	}
	return fmt.Sprintf("l%d", number%tapeLabels)
}

// tapeLabels is how many labels flows have in turn: two flows that have the same ports hardly ever have one label.
const tapeLabels = 4000

// tapeFlow is a flow and when it began; injected ones are in the truth.
type tapeFlow struct {
	worldFlow
	began    time.Time
	left     time.Duration // after began, with it the first frame
	span     time.Duration // from left to the answer
	print    uint32        // of its first packet
	injected bool
	company  bool // another's request of the same addresses and ports comes at once
}

type tapeFrame struct {
	at   time.Time
	flow int
	data []byte
}

type tape struct {
	flows  []tapeFlow
	frames []tapeFrame
}

func makeTape(flows int) *tape {
	r := rand.New(rand.NewPCG(9, 9))
	w := world{clients: 8, ports: 150}
	now, busy := worldBegan, map[worldFlow]time.Time{}
	t := &tape{}
	for injected := 0; injected < flows; {
		f := tapeFlow{worldFlow: w.flow(r), injected: r.IntN(10) > 0}
		if !f.injected { // of clients that we have no addresses of
			f.src = f.src.Next()
			for range 40 {
				f.src = f.src.Next()
			}
		}
		now = now.Add(time.Duration(100_000 + r.IntN(400_000)))
		if now.Sub(busy[f.worldFlow]) < 20*time.Millisecond {
			continue // in use
		}
		busy[f.worldFlow], f.began = now, now
		if f.injected {
			injected++
			f.company = f.proto != "TCP" && r.IntN(20) == 0
		}
		t.add(f, r)
		if f.company {
			f.injected, f.company = false, false
			f.began = f.began.Add(time.Duration(r.IntN(40_000)))
			t.add(f, r)
		}
	}
	slices.SortStableFunc(t.frames, func(a, b tapeFrame) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return t
}

// add has the flow's two ends say what they say, half of them what a rule flags.
func (t *tape) add(f tapeFlow, r *rand.Rand) {
	number, flagged, first := len(t.flows), r.IntN(2) == 0, len(t.frames)
	defer func() {
		answer := t.frames[first+1]
		if f.proto == "TCP" {
			answer = t.frames[first+4]
		}
		f.left = 30 * time.Microsecond
		f.span = answer.at.Sub(f.began.Add(f.left)) + 5*time.Microsecond
		f.print, _ = packet.FingerprintOf(packet.IP(t.frames[first].data[packet.EthernetHeaderLen:]))
		t.flows = append(t.flows, f)
	}()
	at := f.began
	say := func(back bool, l4 gopacket.SerializableLayer, payload []byte) {
		at = at.Add(time.Duration(40_000 + r.IntN(100_000)))
		t.frames = append(t.frames, tapeFrame{at, number, frameOf(f.worldFlow, back, l4, payload)})
	}
	switch f.proto {
	case "TCP":
		path := map[bool]string{true: "/a/../b", false: "/index.html"}[flagged]
		request, response := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: a.test\r\n\r\n", path), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		mine, theirs := r.Uint32(), r.Uint32()
		segment := func(back bool, flags string, payload []byte) {
			s := &layers.TCP{SrcPort: layers.TCPPort(f.sport), DstPort: layers.TCPPort(f.dport), Seq: mine, Ack: theirs, Window: 64000,
				SYN: strings.Contains(flags, "S"), ACK: strings.Contains(flags, "A"), FIN: strings.Contains(flags, "F"), PSH: len(payload) > 0}
			if back {
				s.SrcPort, s.DstPort, s.Seq, s.Ack = s.DstPort, s.SrcPort, theirs, mine
			}
			if !s.ACK {
				s.Ack = 0
			}
			say(back, s, payload)
			passed := uint32(len(payload))
			if s.SYN || s.FIN {
				passed++
			}
			if back {
				theirs += passed
			} else {
				mine += passed
			}
		}
		segment(false, "S", nil)
		segment(true, "SA", nil)
		segment(false, "A", nil)
		segment(false, "A", request)
		segment(true, "A", response)
		segment(false, "FA", nil)
		segment(true, "FA", nil)
		segment(false, "A", nil)
	case "UDP":
		name := map[bool]string{true: "x." + plan.BlockedZone, false: "a.good.test"}[flagged]
		id := uint16(r.Uint32())
		say(false, &layers.UDP{SrcPort: layers.UDPPort(f.sport), DstPort: 53}, dnsMessage(id, name, false))
		say(true, &layers.UDP{SrcPort: 53, DstPort: layers.UDPPort(f.sport)}, dnsMessage(id, name, true))
	default:
		payload := bytes.Repeat([]byte{'p'}, map[bool]int{true: 800, false: 56}[flagged])
		for _, back := range []bool{false, true} {
			kind := map[string][2]uint8{"ICMP": {8, 0}, "IPv6-ICMP": {128, 129}}[f.proto]
			if back {
				kind[0] = kind[1]
			}
			body := append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 7), uint16(number)), payload...)
			if f.proto == "ICMP" {
				say(back, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind[0], 0), Id: 7, Seq: uint16(number)}, payload)
			} else {
				say(back, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind[0], 0)}, body)
			}
		}
	}
}

func dnsMessage(id uint16, name string, answer bool) []byte {
	m := layers.DNS{ID: id, RD: true, QR: answer, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN}}}
	if answer {
		m.Answers = []layers.DNSResourceRecord{{Name: []byte(name), Type: layers.DNSTypeA, Class: layers.DNSClassIN, TTL: 60, IP: net.IPv4(10, 77, 2, 9)}}
	}
	b := gopacket.NewSerializeBuffer()
	if err := m.SerializeTo(b, gopacket.SerializeOptions{FixLengths: true}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func frameOf(f worldFlow, back bool, l4 gopacket.SerializableLayer, payload []byte) []byte {
	src, dst := f.src, f.dst
	if back {
		src, dst = dst, src
	}
	protocol := map[string]layers.IPProtocol{"TCP": layers.IPProtocolTCP, "UDP": layers.IPProtocolUDP, "ICMP": layers.IPProtocolICMPv4, "IPv6-ICMP": layers.IPProtocolICMPv6}[f.proto]
	ethernet := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	var ip gopacket.SerializableLayer = &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	if src.Is6() {
		ethernet.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	if summed, ok := l4.(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := summed.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer)); err != nil {
			panic(err)
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ethernet, ip, l4, gopacket.Payload(payload)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (t *tape) write(tb testing.TB, pcap, truth string) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	file := mustCreate(tb, pcap)
	w := pcapgo.NewWriter(file)
	must(w.WriteFileHeader(65535, layers.LinkTypeEthernet))
	for _, f := range t.frames {
		must(w.WritePacket(gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(f.data), Length: len(f.data)}, f.data))
	}
	must(file.Flush())
	records := mustCreate(tb, truth)
	for i, f := range t.flows {
		if f.injected {
			fmt.Fprintf(records, `{"timestamp":"%s","event_type":"pacgan",%s,"pacgan":{"label":"%s","malicious":true,"verdict":"answered","left_ns":%d,"span_ns":%d,"fingerprint":%d}}`+"\n",
				f.began.Format("2006-01-02T15:04:05.000000000-0700"), f.ends(false), t.label(i), f.left, f.span, f.print)
		}
	}
	must(records.Flush())
}

// alerts are those of each signature and label, and those on flows that were not injected, as pcap_cnt tells them.
func (t *tape) alerts(tb testing.TB, eve string) (counts map[string]uint64, foreign uint64) {
	tb.Helper()
	f, err := os.Open(eve)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	counts = map[string]uint64{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(`"event_type":"alert"`)) {
			continue
		}
		var e struct {
			Packet int `json:"pcap_cnt"`
			Alert  struct {
				GID int
				SID int `json:"signature_id"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Packet == 0 {
			tb.Fatalf("%v: %s", err, lines.Bytes())
		}
		number := t.frames[e.Packet-1].flow
		if !t.flows[number].injected {
			foreign++
			continue
		}
		counts[fmt.Sprintf("%d:%d %s", e.Alert.GID, e.Alert.SID, t.label(number))]++
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return counts, foreign
}
