package hubpage

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

// noon is the time of the samples.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// hostile is what a member may say of itself.
const hostile = `"><script>alert(1)</script>`

// beats are those of three gateways, one of which says anything, and of a trainer.
func beats() []fleet.Beat {
	return []fleet.Beat{
		{
			Name: "lab-a", Role: fleet.Gateway, Version: "0.9.0", State: "injecting", Status: "injecting 500/s, 98.0 % answered", Rate: 500, OnWire: 61_000,
			Labels: []fleet.LabelBeat{
				{Name: "ping", Generated: 61_002, Inflight: 2, Answered: 60_000, Unasked: 0}, {Name: "beacon", Generated: 50, Unasked: 50},
			},
			Model: "20260301T100000Z-1a2b3c4d", ModelAt: noon.Add(-2 * time.Hour), ModelSHA256: "aaaabbbbccccdddd", Applied: 7,
			Sensors: []fleet.IDSScore{
				{Sensor: "edge", Label: "traversal", Malicious: true, Flows: 1000, Alerted: 970}, {Sensor: "edge", Label: "ping", Flows: 990},
			},
		},
		{
			Name: "lab-b", Role: fleet.Gateway, State: "paused", Status: "paused", Model: "20260301T101500Z-99999999", ModelSHA256: "aaaabbbbccccdddd", ModelAt: noon.Add(-2 * time.Hour), Applied: 3,
			Refused: &fleet.Refusal{Revision: 9, Reason: "safety.allow: 0.0.0.0/0 is wider than the gateway's own"},
			Labels:  []fleet.LabelBeat{{Name: "ping", Generated: 10, Answered: 9}}, Spool: fleet.SpoolBeat{Bytes: 3 << 20, Sent: 7, Lost: 2048},
			Tried:   &fleet.Tried{SHA256: "0123456789abcdef", Reason: "canary: 50 of 200 answered"},
			Sensors: []fleet.IDSScore{{Sensor: "edge", Label: "traversal", Malicious: true, Flows: 100, Alerted: 3}, {Sensor: "edge", Label: "ping", Flows: 400, Alerted: 8}},
		},
		{
			Name: "lab-c", Role: fleet.Gateway, State: hostile, Status: hostile + "\n\n" + hostile, Version: hostile, Model: hostile, ModelSHA256: hostile,
			Labels:  []fleet.LabelBeat{{Name: hostile, Generated: 1, Answered: 5}, {Name: hostile, Generated: 9}, {Name: strings.Repeat("x", 9000)}},
			Sensors: []fleet.IDSScore{{Sensor: hostile, Label: hostile, Flows: 1, Alerted: 2}, {Sensor: hostile, Label: hostile}},
			Refused: &fleet.Refusal{Revision: 1, Reason: hostile}, Tried: &fleet.Tried{Reason: hostile},
		},
		{Name: "big", Role: fleet.Trainer, State: "training", Status: "trains for lab-a", Version: "0.9.0"},
	}
}

func text(v any) []byte {
	b, _ := json.Marshal(v) // of our own types: no error
	return b
}

// samplePage shows the beats, a gateway that never came, and candidates; it has no server unless js is one.
func samplePage(tb testing.TB, js jetstream.JetStream) *Page {
	tb.Helper()
	p, err := New(Options{JetStream: js, Key: fleettest.Key(tb, "hub"), Keys: fleettest.Keyring(tb), Hosts: []string{"hub"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	p.now = func() time.Time { return noon }
	p.parts.Age = 0
	p.picture.expect([]string{"lab-a", "lab-z"})
	for _, b := range beats() {
		p.picture.beat(b, noon.Add(-time.Second))
	}
	p.picture.desire("lab-a", 8)
	p.picture.desire("lab-b", 9)
	p.picture.roll("w1", &fleet.Rollout{
		Candidate: fleet.Candidate{Work: "w1", Gateway: "lab-a", Trainer: "big", Model: "fedcba9876543210"}, State: fleet.RolloutAll, Since: noon, Reason: "waits for lab-b",
		Gateways: []fleet.RolloutGateway{{Name: "lab-a", Tried: &fleet.Tried{Promoted: true}}, {Name: "lab-b"}},
	})
	p.picture.roll("w0", &fleet.Rollout{Candidate: fleet.Candidate{Work: "w0", Gateway: "lab-b", Trainer: "big", Error: hostile}, State: fleet.RolloutFailed, Since: noon.Add(-time.Hour)})
	return p
}

func mustHandler(tb testing.TB, p *Page) http.Handler {
	tb.Helper()
	h, err := p.Handler()
	if err != nil {
		tb.Fatal(err)
	}
	return h
}
