package score

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/truth"
)

// TestEachAlertGoesToItsFlow holds the join to all of 50,000 flows whose ports
// are used again, among other people's, with clocks that are right and wrong.
func TestEachAlertGoesToItsFlow(t *testing.T) {
	for seed, w := range []world{
		{clients: 20, ports: 3000},
		{clients: 20, ports: 3000, offset: 3*time.Minute + 141*time.Millisecond},
		{clients: 20, ports: 3000, offset: -7 * time.Minute},
		{clients: 20, ports: 3000, offset: -40 * time.Millisecond},
		{clients: 3, ports: 30}, // each 5-tuple a hundred times
	} {
		w.flows, w.labels, w.gap, w.foreign, w.alerted = 50_000, 50, 5*time.Millisecond, 5_000, 0.3
		t.Run(fmt.Sprintf("offset %s, %d ports", w.offset, w.ports), func(t *testing.T) {
			m := w.make(t, uint64(seed))
			s, err := Run(t.Context(), Options{Truth: m.truth, Sources: []Source{{Name: "suricata", Kind: idslog.Suricata, Paths: []string{m.eve}}}})
			if err != nil {
				t.Fatal(err)
			}
			if testing.Verbose() {
				Write(os.Stdout, s)
			}
			alerts, flows, foreign := map[string]uint64{}, map[string]uint64{}, uint64(0)
			for _, g := range s.Sensors[0].Signatures {
				for _, on := range g.Fired {
					if want := "1:" + on.Label[1:]; g.ID != want {
						t.Errorf("signature %s fired on %d flows of label %s", g.ID, on.Flows, on.Label)
					}
					alerts[on.Label] += on.Alerts
					flows[on.Label] += on.Flows
				}
				if g.Foreign > 0 && g.ID != fmt.Sprint("1:", foreignSignature) {
					t.Errorf("%d alerts of signature %s belong to no flow", g.Foreign, g.ID)
				}
				foreign += g.Foreign
			}
			if diff := cmp.Diff(m.alerts, alerts); diff != "" {
				t.Errorf("alerts by label (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(m.flows, flows); diff != "" {
				t.Errorf("flows with alerts by label (-want +got):\n%s", diff)
			}
			if m.foreign != foreign || s.Sensors[0].Foreign != foreign {
				t.Errorf("%d foreign alerts (%d in all), want %d", foreign, s.Sensors[0].Foreign, m.foreign)
			}
			if apart := time.Duration(s.Sensors[0].Offset.Applied) - w.offset; apart.Abs() > time.Millisecond {
				t.Errorf("clock offset %s, want %s, but for 1 ms", s.Sensors[0].Offset.Applied, w.offset)
			}
		})
	}
}

// TestReadsCompressed: rotated logs are compressed; one that is cut off is not taken for a whole one.
func TestReadsCompressed(t *testing.T) {
	w := world{flows: 5000, labels: 4, clients: 20, ports: 3000, gap: 5 * time.Millisecond, foreign: 500, alerted: 0.3}
	m := w.make(t, 1)
	run := func(truth, eve string) (*Score, error) {
		return Run(t.Context(), Options{Truth: truth, Sources: []Source{{Name: "suricata", Kind: idslog.Suricata, Paths: []string{eve}}}})
	}
	want, err := run(m.truth, m.eve)
	if err != nil {
		t.Fatal(err)
	}
	squeezed := func(path string, cut int) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(text) // into memory: no error
		z.Close()
		out := filepath.Join(t.TempDir(), filepath.Base(path)+".gz")
		if err := os.WriteFile(out, b.Bytes()[:b.Len()-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		return out
	}
	got, err := run(squeezed(m.truth, 0), squeezed(m.eve, 0))
	if err != nil {
		t.Fatal(err)
	}
	got.Truth.Files, got.Sensors[0].Files = want.Truth.Files, want.Sensors[0].Files
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-plain +compressed):\n%s", diff)
	}
	if _, err := run(m.truth, squeezed(m.eve, 1000)); err == nil || !strings.HasSuffix(err.Error(), "eve.json.gz: gzip: the file is cut off: give one that is whole") {
		t.Errorf("error %v, want that the log is cut off", err)
	}
}

// TestFlowsHandedOverTogether: of two pings that began before the first was sent, both have their alert.
func TestFlowsHandedOverTogether(t *testing.T) {
	r := newLiveRig(idslog.Suricata)
	var truths, eve strings.Builder
	const flow = `"src_ip":"10.77.1.5","dest_ip":"10.77.2.2","proto":"ICMP","icmp_type":8,"icmp_code":0`
	for i := range 40 {
		at := worldBegan.Add(time.Duration(i) * time.Second)
		r.now = at.Add(time.Millisecond)
		for _, late := range []time.Duration{50, 60} {
			line := fmt.Sprintf(`{"timestamp":"%s","event_type":"alert",%s,"alert":{"gid":1,"signature_id":7}}`, at.Add(late*time.Microsecond).Format(eveTime), flow)
			fmt.Fprintln(&eve, line)
			r.Event(0, mustParse(t, line))
		}
		for i, late := range []time.Duration{0, 5} {
			line := fmt.Sprintf(`{"timestamp":"%s","event_type":"pacgan",%s,"pacgan":{"label":"bigping","malicious":true,"verdict":"answered","left_ns":%d,"span_ns":100000}}`,
				at.Add(late*time.Microsecond).Format(eveTime), flow, 40_000+10_000*i)
			fmt.Fprintln(&truths, line)
			var record truth.Record
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			r.Truth(&record)
		}
	}
	r.now = r.now.Add(time.Minute)
	truthFile, eveFile := filepath.Join(t.TempDir(), "truth.jsonl"), filepath.Join(t.TempDir(), "eve.json")
	for path, text := range map[string]string{truthFile: truths.String(), eveFile: eve.String()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Run(t.Context(), Options{Truth: truthFile, Sources: []Source{{Name: "s", Kind: idslog.Suricata, Paths: []string{eveFile}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]Share{"files": s.Sensors[0].Labels[0].Detected, "live": r.Scores()[0].Labels[0].Detected} {
		if got.Hits != 80 || got.Of != 80 {
			t.Errorf("%s: %d of %d flows have alerts, want all of 80", name, got.Hits, got.Of)
		}
	}
}
