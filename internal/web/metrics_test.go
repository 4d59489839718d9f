package web

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pacgan-appliance/internal/live"
)

func TestMetricNamesAreLinted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(NewCollector(func() (Snapshot, error) { return sample(), nil })); err != nil {
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
	if want := len(NewCollector(nil).(*collector).metrics); len(families) != want {
		t.Errorf("%d families of %d have a value: sample has to show all", len(families), want)
	}
	bounded := map[string]bool{"label": true, "reason": true, "state": true, "q": true, "version": true, "recipe": true, "ids": true, "malicious": true}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !bounded[l.GetName()] {
					t.Errorf("%s has the label %s, which may grow without end", f.GetName(), l.GetName())
				}
			}
		}
	}
}

func TestMetricValues(t *testing.T) {
	tests := []struct{ family, want string }{
		{"pacgan_fleet_spool_bytes", `# HELP pacgan_fleet_spool_bytes Truth that the hub has not yet.
# TYPE pacgan_fleet_spool_bytes gauge
pacgan_fleet_spool_bytes 4096
`},
		{"pacgan_packets_rejected_total", `# HELP pacgan_packets_rejected_total Packets with a response that is not valid, by reason.
# TYPE pacgan_packets_rejected_total counter
pacgan_packets_rejected_total{label="dns",reason="nxdomain"} 80
pacgan_packets_rejected_total{label="dns",reason="refused"} 4
`},
		{"pacgan_packets_decided", `# HELP pacgan_packets_decided Packets whose end is known: the success ratio's denominator.
# TYPE pacgan_packets_decided gauge
pacgan_packets_decided{label="beacon"} 0
pacgan_packets_decided{label="dns"} 999
pacgan_packets_decided{label="ping"} 998
`},
		{"pacgan_success_ratio", `# HELP pacgan_success_ratio Answered of decided packets since start_time_seconds.
# TYPE pacgan_success_ratio gauge
pacgan_success_ratio{label="dns"} 0.9009009009009009
pacgan_success_ratio{label="ping"} 0.9919839679358717
`},
		{"pacgan_rtt_quantile_seconds", `# HELP pacgan_rtt_quantile_seconds Round-trip time below which the share q of the answers came.
# TYPE pacgan_rtt_quantile_seconds gauge
pacgan_rtt_quantile_seconds{label="dns",q="0.5"} 0.0004
pacgan_rtt_quantile_seconds{label="dns",q="0.9"} 0.0009
pacgan_rtt_quantile_seconds{label="dns",q="0.99"} 0.004
pacgan_rtt_quantile_seconds{label="ping",q="0.5"} 0.00018
pacgan_rtt_quantile_seconds{label="ping",q="0.9"} 0.00032
pacgan_rtt_quantile_seconds{label="ping",q="0.99"} 0.002
`},
		{"pacgan_model_auc_ratio", `# HELP pacgan_model_auc_ratio How well a classifier tells generated from real: 0.5 is perfect.
# TYPE pacgan_model_auc_ratio gauge
pacgan_model_auc_ratio{label="ping"} 0.52
`},
	}
	c := NewCollector(func() (Snapshot, error) { return sample(), nil })
	for _, tt := range tests {
		t.Run(tt.family, func(t *testing.T) {
			if err := testutil.CollectAndCompare(c, strings.NewReader(tt.want), tt.family); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	broken := func() (Snapshot, error) { return Snapshot{}, errors.New("read maps: gone") }
	healthy := func() (Snapshot, error) { return sample(), nil }
	failing := func() (Snapshot, error) { return Snapshot{State: Failing}, nil }
	tests := []struct {
		name, method, target, accept string
		snapshot                     func() (Snapshot, error)
		code                         int
		want                         string // part of the body
	}{
		{"health", "GET", "http://127.0.0.1:9746/healthz", "", healthy, 200, "injecting\n"},
		{"health without state", "GET", "http://localhost/healthz", "", broken, 503, "read maps: gone\n"},
		{"health of a failing daemon", "GET", "http://[::1]/healthz", "", failing, 503, "failing\n"},
		{"metrics", "GET", "http://[::1]:9746/metrics", "", healthy, 200, "pacgan_packets_generated_total{label=\"ping\"} 1000\n"},
		{"of the process", "GET", "http://localhost/metrics", "", healthy, 200, "\ngo_goroutines "},
		{"OpenMetrics", "GET", "http://localhost/metrics", "application/openmetrics-text; version=1.0.0", healthy, 200, "# EOF\n"},
		{"metrics without state", "GET", "http://localhost/metrics", "", broken, 500, "read maps: gone"},
		{"named host", "GET", "http://gateway:9746/healthz", "", healthy, 200, "injecting\n"},
		{"foreign host", "GET", "http://evil.example/metrics", "", healthy, 421, "use the IP address or localhost"},
		{"read only", "POST", "http://localhost/healthz", "", healthy, 405, "Method Not Allowed"},
		{"nothing else", "GET", "http://localhost/pause", "", healthy, 404, "not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			handler, err := New(Options{Snapshot: tt.snapshot, Hosts: []string{"gateway"}})
			if err != nil {
				t.Fatal(err)
			}
			r, w := httptest.NewRequest(tt.method, tt.target, nil), httptest.NewRecorder()
			r.Header.Set("Accept", tt.accept)
			handler.ServeHTTP(w, r)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("status %d, want %d with %q; body:\n%s", w.Code, tt.code, tt.want, w.Body)
			}
			if diff := cmp.Diff(live.Policy, w.Header().Get("Content-Security-Policy")); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewRefusesNoSnapshot(t *testing.T) {
	_, err := New(Options{})
	if err == nil || err.Error() != "web: Options.Snapshot is nil" {
		t.Errorf("error %v", err)
	}
}
