package lab_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
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
			must(t, l.StopIDS(t.Context()))
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
