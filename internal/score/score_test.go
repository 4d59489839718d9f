package score

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/idslog"
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
			if apart := time.Duration(s.Sensors[0].Offset.Applied) - w.offset; apart < 0 || apart > time.Millisecond {
				t.Errorf("clock offset %s, want %s and less than 1 ms", s.Sensors[0].Offset.Applied, w.offset)
			}
		})
	}
}
