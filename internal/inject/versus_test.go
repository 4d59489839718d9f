package inject_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

// BenchmarkVersus measures us and what one would use instead, in turns, on the
// same veth: packets per second of CPU time, softirqs included. Sub-benchmarks
// are named after the job and the other side; `make bench` prints them. Nobody answers: what is compared is sending, and for us the
// guard, the expectations, and taking them as expired.
func BenchmarkVersus(b *testing.B) {
	const each = 200_000 // packets of a round
	for _, bm := range []struct {
		name   string
		engine inject.Engine
		label  int
		theirs func(b *testing.B, wire string) *exec.Cmd
	}{
		{"inject-xdp/tcpreplay", inject.EngineXDP, ping, tcpreplay},
		{"inject-sendmmsg/tcpreplay", inject.EngineSendmmsg, ping, tcpreplay},
		{"inject-unasked-xdp/trafgen", inject.EngineXDP, none, trafgen},
		{"inject-unasked-sendmmsg/trafgen", inject.EngineSendmmsg, none, trafgen},
	} {
		b.Run(bm.name, func(b *testing.B) {
			n := quiet(b, networkOptions{engine: bm.engine, expectations: 1 << 19})
			theirs := bm.theirs(b, "wan0")
			list := smallPings(b, each, bm.label)
			var rates [2][]float64
			for b.Loop() {
				used := labtest.CPU(b, func() {
					if _, err := n.injector.Run(b.Context(), &packets{list: list}, inject.RunOptions{}); err != nil {
						b.Fatal(err)
					}
				})
				rates[0] = append(rates[0], each/used.Seconds())
				n.settled(b)
				rates[1] = append(rates[1], mustTheirs(b, theirs, sentPackets))
			}
			a := n.accounts(b)[bm.label]
			if a.OnWire != a.Generated {
				b.Errorf("%d of %d on the wire: %+v", a.OnWire, a.Generated, a)
			}
			report(b, rates)
		})
	}
}

// report gives the medians of both sides.
func report(b *testing.B, rates [2][]float64) {
	b.Helper()
	for side, name := range []string{"ours", "theirs"} {
		slices.Sort(rates[side])
		b.ReportMetric(rates[side][len(rates[side])/2], name)
	}
	b.ReportMetric(0, "ns/op") // a round is no operation
}

// smallPings are n echo requests of 75-byte frames, no two alike, that nobody
// answers.
func smallPings(tb testing.TB, n, label int) []labelled {
	tb.Helper()
	one := mustPing(tb, "10.77.1.11", nobody, 1, 1, string(make([]byte, 33)))
	list := make([]labelled, n)
	for i := range list {
		list[i] = labelled{label, bytes.Clone(one.ip)}
		binary.BigEndian.PutUint32(list[i].ip[24:], uint32(i)) // identifier and sequence number
	}
	return list
}

// mustTheirs runs a copy of a command and returns what it has done, by the
// number that the pattern finds in what it says, per second of processor time.
func mustTheirs(tb testing.TB, c *exec.Cmd, done *regexp.Regexp) float64 {
	tb.Helper()
	kernel := labtest.SoftirqTime(tb)
	run := exec.Command(c.Args[0], c.Args[1:]...)
	out, err := run.CombinedOutput()
	if err != nil {
		tb.Fatalf("%v: %v\n%s", run, err, out)
	}
	used := run.ProcessState.UserTime() + run.ProcessState.SystemTime() + labtest.SoftirqTime(tb) - kernel
	return float64(mustCount(tb, string(out), done)) / used.Seconds()
}

// sentPackets finds how many packets tcpreplay or trafgen say that they have sent.
var sentPackets = regexp.MustCompile(`(?:Actual: |^\s*|\n\s*)([0-9]+) packets (?:\(|outgoing)`)

// requireTool skips a benchmark whose other side is not installed, unless
// everything is required.
func requireTool(b *testing.B, name string) {
	b.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("PACGAN_REQUIRE_ROOT") == "1":
		b.Fatalf("%v: make bench installs it", err)
	default:
		b.Skipf("%v: make bench installs it", err)
	}
}

// tcpreplay sends a file of the same frames again and again, from memory.
func tcpreplay(b *testing.B, wire string) *exec.Cmd {
	requireTool(b, "tcpreplay")
	const frames, loops = 50_000, 8
	var file bytes.Buffer
	w := pcapgo.NewWriterNanos(&file)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		b.Fatal(err)
	}
	header := etherHeader(b, wire)
	for _, p := range smallPings(b, frames, ping) {
		frame := slices.Concat(header, mustRepaired(b, p))
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "pings.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	return exec.Command("tcpreplay", "--topspeed", "--preload-pcap", "--loop", strconv.Itoa(loops), "-i", wire, path)
}

// mustRepaired has right checksums, as what we send: who receives the others
// is sooner done with them.
func mustRepaired(tb testing.TB, p labelled) []byte {
	tb.Helper()
	if err := packet.RepairChecksums(p.ip); err != nil {
		tb.Fatal(err)
	}
	return p.ip
}

// trafgen sends one of these frames, on one processor.
func trafgen(b *testing.B, wire string) *exec.Cmd {
	requireTool(b, "trafgen")
	frame := append(etherHeader(b, wire), mustRepaired(b, smallPings(b, 1, ping)[0])...)
	var config bytes.Buffer
	config.WriteString("{")
	for _, v := range frame {
		fmt.Fprintf(&config, " 0x%02x,", v)
	}
	config.WriteString("}\n")
	path := filepath.Join(b.TempDir(), "ping.cfg")
	if err := os.WriteFile(path, config.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	return exec.Command("trafgen", "--dev", wire, "--conf", path, "--cpus", "1", "--num", "400000", "--no-sock-mem")
}

// etherHeader leads from the wire's near end to its far one.
func etherHeader(tb testing.TB, wire string) []byte {
	tb.Helper()
	out, err := gatewayCommand("ip", "neigh", "show", nobody, "dev", wire).Output()
	if err != nil {
		tb.Fatal(err)
	}
	var mac [6]byte
	if _, err := fmt.Sscanf(string(out), nobody+" lladdr %02x:%02x:%02x:%02x:%02x:%02x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]); err != nil {
		tb.Fatalf("next hop in %q: %v", out, err)
	}
	return append(append(mac[:], 2, 0, 0, 0, 0, 1), 8, 0)
}
