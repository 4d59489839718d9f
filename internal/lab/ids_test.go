package lab_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

// mustEvents counts what the sensor said: flows by the protocol that it parsed in them, alerts by what they
// say, and anomalies.
func mustEvents(tb testing.TB, path string) map[string]int {
	tb.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	events := map[string]int{}
	for line := range strings.Lines(string(log)) {
		var e struct {
			Type  string `json:"event_type"`
			App   string `json:"app_proto"`
			Alert struct{ Signature string }
			DNS   struct{ Type string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			tb.Fatalf("%s: %v", line, err)
		}
		switch e.Type {
		case "alert":
			events[e.Alert.Signature]++
		case "dns":
			events["dns "+e.DNS.Type]++
		case "flow", "stats":
		default:
			events[e.Type]++
		}
	}
	return events
}

// TestSensorFlagsTheTestersAlone has every client speak: the testers are answered like the others, and
// Suricata flags each of their requests and nothing else. No packet of a lab is an anomaly to it.
func TestSensorFlagsTheTestersAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs without the race detector")
	}
	labtest.RequireRoot(t)
	labtest.RequireProgram(t, "suricata")
	for _, servers := range []lab.Servers{lab.Embedded, lab.System} {
		t.Run(string(servers), func(t *testing.T) {
			n := map[lab.Servers]int{lab.Embedded: 200, lab.System: 20}[servers]
			l := mustLab(t, lab.Options{Servers: servers, Seed: 5})
			must(t, l.StartIDS(t.Context()))
			mustAllAnswered(t, l, n)
			must(t, l.DropRules(t.Context(), "bigping"))
			mustAllAnswered(t, l, n)
			if lost, err := l.StopIDS(t.Context()); lost != 0 || err != nil {
				t.Fatalf("the sensor lost %d frames, %v", lost, err)
			}
			want := map[string]int{
				"pacgan lab: oversized ping": n, "pacgan lab: query of a blocked name": 2 * n, "pacgan lab: path traversal in a URL": 2 * n,
				"http": 4 * n, "dns query": 4 * n, "dns answer": 4 * n,
			}
			if diff := cmp.Diff(want, mustEvents(t, l.EVE())); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func mustAllAnswered(tb testing.TB, l *lab.Lab, n int) {
	tb.Helper()
	for _, label := range append(lab.Labels(), lab.Flagged()...) {
		if ok, err := l.Client(tb.Context(), label, n); err != nil || ok != n {
			tb.Fatalf("%s: %d of %d answered, %v", label, ok, n, err)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// TestTapeHasEveryPacket counts what tcpdump wrote of requests that were all answered, the last one too.
func TestTapeHasEveryPacket(t *testing.T) {
	labtest.RequireProgram(t, "tcpdump")
	const n = 300
	l := mustLab(t, lab.Options{Ports: 50})
	file := filepath.Join(t.TempDir(), "tape.pcap")
	must(t, lab.Tape(t.Context(), lab.GatewayWAN, file, func() error {
		_, err := l.Client(t.Context(), "dns", n)
		return err
	}))
	captured, _, err := dataset.ReadFile(file, "")
	must(t, err)
	ports := map[uint16]bool{}
	for _, c := range captured {
		ip, err := packet.IPOf(c.Frame)
		must(t, err)
		p, err := packet.ParseIP(ip)
		must(t, err)
		if flow := packet.FlowOf(p); lab.LANNetwork().Contains(p.Src()) {
			ports[flow.Src.Port()] = true
		}
	}
	if len(captured) != 2*n || len(ports) > 50 {
		t.Errorf("%d packets from %d ports, want %d from at most 50", len(captured), len(ports), 2*n)
	}
	failed := errors.New("no traffic")
	if err := lab.Tape(t.Context(), lab.GatewayWAN, file, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want %v", err, failed)
	}
	err = lab.Tape(t.Context(), "nosuch0", file, func() error { return failed })
	if want := "tcpdump: nosuch0: No such device exists"; !strings.HasPrefix(errText(err), want) {
		t.Errorf("error %q, want %q", errText(err), want)
	}
}
