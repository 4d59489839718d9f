package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/bench/traffic"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// TestOfALab has a model of 200 packets of each label compared as the figures are, by all observers: a whole run. How
// like the few packets are is not its question, only that there are no faults among them.
func TestOfALab(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs without the race detector")
	}
	labtest.RequireRoot(t)
	for _, name := range []string{"suricata", "tshark", "ndpiReader", "tcpdump"} {
		labtest.RequireProgram(t, name)
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "pacgan-appliance/cmd/pacgan-appliance", "pacgan-appliance/bench/likeness")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	file := filepath.Join(dir, "table.json")
	cmd := exec.Command(filepath.Join(dir, "likeness"), "-binary", filepath.Join(dir, "pacgan-appliance"), "-state", filepath.Join(dir, "state"),
		"-servers", "embedded", "-learn", "200", "-send", "100", "-rate", "500", "-labels", "dns,traversal", "-json", file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%v: %v\n%s", cmd, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var table []row
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	flows := map[string]float64{} // by label, observer and protocol
	for _, r := range table {
		if r.Fault {
			t.Errorf("%+v", r)
		}
		if strings.HasPrefix(r.What, "flow ") || strings.HasPrefix(r.What, "alert ") {
			flows[strings.Join([]string{r.Label, r.Observer, r.What}, ": ")] = r.Rates[generated]
		}
	}
	for what, least := range map[string]float64{
		"dns: suricata: flow UDP dns": 950, "dns: ndpi: flow UDP DNS": 950,
		"traversal: suricata: flow TCP http": 950, "traversal: ndpi: flow TCP HTTP": 950,
		"traversal: suricata: alert pacgan lab: path traversal in a URL": 950,
	} {
		if flows[what] < least {
			t.Errorf("%s: %.1f of 1,000 generated, want %.0f at least", what, flows[what], least)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func TestReadEVE(t *testing.T) {
	const log = `{"event_type":"dns","dns":{"type":"query"}}
{"event_type":"dns","dns":{"type":"answer"}}
{"event_type":"alert","alert":{"signature":"pacgan lab: query of a blocked name"}}
{"event_type":"alert","alert":{"signature":"SURICATA TCPv4 invalid checksum"}}
{"event_type":"anomaly","anomaly":{"type":"decode","event":"decoder.ipv4.trunc_pkt"}}
{"event_type":"http","http":{}}
{"event_type":"flow","proto":"UDP","app_proto":"dns"}
{"event_type":"flow","proto":"ICMP"}
{"event_type":"stats","stats":{"uptime":1}}
`
	got, err := readEVE(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	want := profile{
		"dns query": 500, "dns answer": 500, "http": 500, "flow UDP dns": 500, "flow ICMP": 500,
		"alert pacgan lab: query of a blocked name":    500,
		"fault: alert SURICATA TCPv4 invalid checksum": 500,
		"fault: anomaly decode decoder.ipv4.trunc_pkt": 500,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, bad := range map[string]string{"no flow": `{"event_type":"stats"}`, "cut": `{"event_type":`} {
		if got, err := readEVE(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestReadFields(t *testing.T) {
	got, err := readFields([]byte("eth:ethertype:ip:tcp\t10.77.1.11\t2097152\n" + // that a SYN begins a connection
		"eth:ethertype:ip:tcp:http\t10.77.2.80\t8388608\n" + // a server's
		"eth:ethertype:ip:tcp:http\t10.77.1.11\t2097152,8388608\n" + // and that a checksum is wrong
		"eth:ethertype:ip:udp\t10.77.1.11\t\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := profile{
		"eth:ethertype:ip:tcp": 250, "eth:ethertype:ip:tcp:http": 500, "eth:ethertype:ip:udp": 250,
		"fault: error or warning": 250,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "eth:ethertype:ip:udp\n"} {
		if got, err := readFields([]byte(bad)); err == nil {
			t.Errorf("of %q: %v", bad, got)
		}
	}
}

func TestReadFlows(t *testing.T) {
	got, err := readFlows([]byte("Detected protocols:\n\tDNS                  packets: 2  flows: 1\n\n" +
		"\t1\tUDP 10.77.1.13:40000 <-> 10.77.2.53:53 [proto: 5/DNS][ClearText][cat: Network/14]\n" +
		"\t2\tTCP 10.77.1.13:40001 <-> 10.77.2.80:80 [proto: 7/HTTP][ClearText][Risk: ** HTTP Suspicious URL **** Clear-Text Credentials **][Risk Score: 100]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := profile{"flow UDP DNS": 500, "flow TCP HTTP": 500, "risk HTTP Suspicious URL": 500, "risk Clear-Text Credentials": 500}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := readFlows([]byte("Detected protocols:\n")); err == nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name            string
		real, generated float64
		fault           bool
		want            string
	}{
		{"alike", 1000, 1000, false, ""},
		{"a little apart", 6000, 6119, false, ""},
		{"apart", 6000, 6121, false, "dns: suricata: x: 6000.0 of 1,000 real, 6121.0 generated: 2.02 % apart, and 2 are too many"},
		{"rare", 5, 24, false, ""},
		{"not so rare", 5, 26, false, "dns: suricata: x: 5.0 of 1,000 real, 26.0 generated: 2.10 % apart, and 2 are too many"},
		{"a fault of real ones", 1, 0, true, ""},
		{"a fault of generated ones", 0, 1, true, "dns: suricata: x: 1.0 of 1,000 generated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			table := []row{{
				Label: "dns", Observer: "suricata", What: "x", Fault: c.fault,
				Rates: [sides]float64{replayed: c.real, generated: c.generated}, Percent: differ(c.real, c.generated),
			}}
			if err := judge(table); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWrongChecksumsAreFaults has queries whose checksums are wrong read by the real programs.
func TestWrongChecksumsAreFaults(t *testing.T) {
	for _, name := range []string{"suricata", "tshark"} {
		labtest.RequireProgram(t, name)
	}
	world, err := traffic.New("tools", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		offset int // of the byte that is broken, once the sums are right
		want   map[string]float64
	}{
		{"right", -1, map[string]float64{}},
		{"of IP", 10, map[string]float64{"suricata: fault: alert SURICATA IPv4 invalid checksum": 1000, "tshark: fault: error or warning": 1000}},
		{"of UDP", 26, map[string]float64{"suricata: fault: alert SURICATA UDPv4 invalid checksum": 1000, "tshark: fault: error or warning": 1000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			queries, err := world.Packets("dns", 10)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "queries.pcap")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			pcap := pcapgo.NewWriter(f)
			if err := pcap.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
				t.Fatal(err)
			}
			for i, q := range queries {
				if err := packet.RepairChecksums(q); err != nil {
					t.Fatal(err)
				}
				if c.offset >= 0 {
					q[c.offset] ^= 0x40
				}
				at := time.Unix(1_700_000_000, int64(i)*1e6)
				if err := pcap.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(q), Length: len(q)}, q); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]float64{}
			for _, o := range observers()[:2] {
				said, err := o.read(t.Context(), file)
				if err != nil {
					t.Fatal(err)
				}
				for what, rate := range said {
					if strings.HasPrefix(what, fault) {
						got[o.name+": "+what] = rate
					}
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
