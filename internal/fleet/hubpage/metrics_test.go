package hubpage

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetricNamesAreLinted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	c := newCollector(samplePage(t, nil).view)
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != len(c.metrics) {
		t.Errorf("%d families of %d have a value", len(families), len(c.metrics))
	}
	bounded := map[string]bool{"gateway": true, "trainer": true, "label": true, "state": true, "ids": true, "malicious": true}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !bounded[l.GetName()] {
					t.Errorf("%s has the label %s, which may grow without end", f.GetName(), l.GetName())
				}
				if len(l.GetValue()) > 2*longest {
					t.Errorf("%s: a value of %d bytes", f.GetName(), len(l.GetValue()))
				}
			}
		}
	}
}

func TestMetricValues(t *testing.T) {
	p := samplePage(t, nil)
	p.picture.vanish("lab-c")
	tests := []struct{ family, want string }{
		{"pacgan_fleet_success_ratio", `# HELP pacgan_fleet_success_ratio Answered of decided packets since a gateway's counts began.
# TYPE pacgan_fleet_success_ratio gauge
pacgan_fleet_success_ratio{gateway="lab-a",label="ping"} 0.9836065573770492
pacgan_fleet_success_ratio{gateway="lab-b",label="ping"} 0.9
`},
		{"pacgan_fleet_revision_refused", `# HELP pacgan_fleet_revision_refused Later revision that a gateway refused; 0: none.
# TYPE pacgan_fleet_revision_refused gauge
pacgan_fleet_revision_refused{gateway="lab-a"} 0
pacgan_fleet_revision_refused{gateway="lab-b"} 9
`},
		{"pacgan_fleet_rollouts", `# HELP pacgan_fleet_rollouts Candidates that are being tried.
# TYPE pacgan_fleet_rollouts gauge
pacgan_fleet_rollouts 1
`},
	}
	for _, tt := range tests {
		t.Run(tt.family, func(t *testing.T) {
			if err := testutil.CollectAndCompare(newCollector(p.view), strings.NewReader(tt.want), tt.family); err != nil {
				t.Error(err)
			}
		})
	}
}
