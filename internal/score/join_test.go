package score

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/idslog"
)

// TestJoinTellsOthersRequestsApart has a client's own requests come between
// injected ones of the same addresses and ports.
func TestJoinTellsOthersRequestsApart(t *testing.T) {
	type event struct {
		after time.Duration // since the beginning
		reply bool          // the alert is about a reply
		start time.Duration // of the flow, as the sensor saw it
		label string        // of an injected one; "": an alert
	}
	const ms, us = time.Millisecond, time.Microsecond
	for _, c := range []struct {
		name, proto string
		events      []event
		want        map[string]uint64 // flows with alerts by label
		foreign     uint64
	}{
		{"each its own", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 5 * ms, label: "b"}, {after: 5*ms + 20*us}},
			map[string]uint64{"a": 1, "b": 1}, 0},
		{"request and reply", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 160 * us, reply: true}}, map[string]uint64{"a": 1}, 0},
		{"another's request behind it", "UDP", []event{{label: "a"}, {after: 20 * us}, {after: 300 * us}}, map[string]uint64{"a": 1}, 1},
		{"another's ping behind it", "ICMP", []event{{label: "a"}, {after: 20 * us}, {after: 300 * us}}, map[string]uint64{"a": 1}, 1},
		{"another's, later", "UDP", []event{{label: "a"}, {after: time.Second}}, map[string]uint64{}, 1},
		{"two handed over at once", "ICMP", []event{{label: "a"}, {label: "b"}, {after: 20 * us}, {after: 30 * us}},
			map[string]uint64{"a": 1, "b": 1}, 0},
		{"the first seen late", "UDP", []event{{label: "a"}, {after: ms, label: "b"}, {after: ms + 20*us}, {after: ms + 40*us}},
			map[string]uint64{"a": 1, "b": 1}, 0},
		{"a conversation's alerts", "TCP", []event{{label: "a"}, {after: 500 * us, start: 20 * us}, {after: 900 * ms, start: 20 * us}},
			map[string]uint64{"a": 1}, 0},
		{"another's conversation on its ports", "TCP", []event{{label: "a"}, {after: 500 * us, start: 20 * us}, {after: 50 * ms, start: 49 * ms}},
			map[string]uint64{"a": 1}, 1},
		{"another's conversation later", "TCP", []event{{label: "a"}, {after: 700 * ms, start: 690 * ms}}, map[string]uint64{}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var truth, eve strings.Builder
			for i, e := range c.events {
				f := worldFlow{src: netip.MustParseAddr("10.77.1.11"), dst: netip.MustParseAddr("10.77.2.53"), sport: 40000, dport: 53, proto: c.proto}
				if e.label != "" {
					fmt.Fprintf(&truth, `{"timestamp":"%s","event_type":"pacgan","uuid":"018f1e2d-3c4b-7a69-8877-%012x",%s,"pacgan":{"label":"%s","verdict":"answered","rtt_ns":135000}}`+"\n",
						worldBegan.Add(e.after).Format("2006-01-02T15:04:05.000000000-0700"), i, f.ends(false), e.label)
					continue
				}
				fmt.Fprintf(&eve, `{"timestamp":"%s","event_type":"alert",%s,"alert":{"gid":1,"signature_id":7,"signature":"s"},"flow":{"start":"%s"}}`+"\n",
					worldBegan.Add(e.after).Format(eveTime), f.ends(e.reply), worldBegan.Add(e.start).Format(eveTime))
			}
			dir := t.TempDir()
			for name, text := range map[string]string{"truth.jsonl": truth.String(), "eve.json": eve.String()} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Run(t.Context(), Options{Truth: filepath.Join(dir, "truth.jsonl"), Sources: []Source{
				{Name: "suricata", Kind: idslog.Suricata, Paths: []string{filepath.Join(dir, "eve.json")}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]uint64{}
			for _, l := range s.Sensors[0].Labels {
				if l.Detected.Hits > 0 {
					got[l.Name] = l.Detected.Hits
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || s.Sensors[0].Foreign != c.foreign {
				t.Errorf("%d foreign, want %d; flows with alerts (-want +got):\n%s", s.Sensors[0].Foreign, c.foreign, diff)
			}
		})
	}
}

func TestPerfectIsOne(t *testing.T) {
	for n := uint64(1); n < 1<<40; n = 3*n + 1 {
		if m := measuresOf(Confusion{TP: n, TN: 2*n + 1}); *m.MCC != 1 || *m.F1 != 1 {
			t.Errorf("%d flows: MCC %v, F1 %v", n, *m.MCC, *m.F1)
		}
	}
}
