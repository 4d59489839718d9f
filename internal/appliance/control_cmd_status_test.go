package appliance

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStatusForAPerson pins all that status may print.
func TestStatusForAPerson(t *testing.T) {
	dns := LabelReport{
		Label: "dns", SuccessRate: 0.9, Wilson95: [2]float64{0.8256, 0.9448}, RTT: RTTMillis{P50: 1.25},
		Counts: Counts{Generated: 1110, Answered: 90, Rejected: map[string]uint64{"nxdomain": 4}, Expired: 6, Inflight: 10, Blocked: 1000, OnWire: 110},
	}
	ceiling := outcomeOf(40, share(39, 40))
	dns.Ceiling = &ceiling
	s := Status{
		Line: "injecting 50/s", UptimeSeconds: 7300, Started: time.Unix(1e6, 0), CountsSince: time.Unix(0, 0), Model: &ModelStatus{ID: "m1", Recipe: "gan"},
		Training: &TrainingStatus{Why: "the schedule: @every 1h", Recipe: "gan", Seconds: 61, Step: 1200, Steps: 4500}, TrainingError: "no memory",
		Warnings: DropStatus{Cable: 1200, Wire: 3}.warnings("wan0"),
		Tasks: []TaskStatus{
			{Name: "capture", Running: true},
			{Name: "injector", Running: true, Restarts: 1, LastError: "no cable"},
			{Name: "verifier", LastError: "no ring"},
		},
		Capture: CaptureStatus{Labels: []LabelCaptureStatus{{Label: "dns", Captured: 1234}, {Label: "ping", Captured: 1}}},
		Labels:  []LabelReport{dns, {Label: "ping"}}, All: dns,
	}
	want := `injecting 50/s; up 2 h, counts since 1970-01-01T00:00:00Z
model m1, recipe gan
training, recipe gan, for 1 min: step 1,200 of 4,500; because of the schedule: @every 1h
last training failed: no memory
nothing is let out: safety.allow is empty; write allow = ["NETWORK/BITS"] under [safety], the test servers' networks
warning: 1,200 packets lost between the socket and the guard: see "ip -s link show inj0", and whether the guard is still attached
warning: 3 frames dropped by wan0 while it was to send them: see "ip -s link show wan0"
task injector: restarts: 1, the last because: no cable
task verifier: waits for its restart, ended because: no ring
  label  captured  generated  on wire  answered  success  95 % interval        ceiling  rejected  expired  in flight  other  RTT p50 ms
    dns     1,234      1,110      110        90  90.00 %    82.56-94.48  97.50 % of 40         4        6         10  1,000        1.25
   ping         1          0        0         0        -              -              -         0        0          0      0        0.00
    all     1,235      1,110      110        90  90.00 %    82.56-94.48  97.50 % of 40         4        6         10  1,000        1.25
`
	var got strings.Builder
	must(t, s.write(&got))
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
