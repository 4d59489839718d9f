package appliance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/verify"
)

// TestBelow pins Newcombe's interval of a difference: with 56 of 70 and 48 of
// 80 his paper gives 0.0524 to 0.3339.
func TestBelow(t *testing.T) {
	tests := []struct {
		name string
		a, b verify.Success
		want bool
	}{
		{"Newcombe's example", share(48, 80), share(56, 70), true},
		{"the other way round", share(56, 70), share(48, 80), false},
		{"equal", share(200, 200), share(200, 200), false},
		{"one of 200 fails", share(199, 200), share(200, 200), false},
		{"three of 200 fail", share(197, 200), share(200, 200), false},
		{"six of 200 fail", share(194, 200), share(200, 200), true},
		{"nothing measured", share(0, 0), share(200, 200), false},
		{"nothing to compare with", share(0, 200), share(0, 0), false},
	}
	for _, tt := range tests {
		if got := below(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if fewer(81, 90) || !fewer(1, 90) || fewer(0, 3) {
		t.Error("81 of 90 things and none of 3 are what chance makes, 1 of 90 is not")
	}
}

// canaryOf is a canary of one label: packets answered of 200 by the new model,
// by the current one, and of 20 captured packets.
func canaryOf(now, was, ceiling int) *model.Canary {
	variety := model.Variety{Packets: 200, Keys: 80}
	return &model.Canary{Labels: []model.CanaryLabel{{
		Label: "dns", Model: outcomeOf(200, share(now, 200)), Current: outcomeOf(200, share(was, 200)),
		Ceiling: outcomeOf(20, share(ceiling, 20)), Variety: variety, CurrentVariety: variety,
	}}}
}

func TestGateTried(t *testing.T) {
	with := func(c *model.Canary, edit func(*model.CanaryLabel)) *model.Canary {
		edit(&c.Labels[0])
		return c
	}
	const aside, promoted = model.StateAside, model.StatePromoted
	tests := []struct {
		name   string
		first  bool
		canary *model.Canary
		state  model.State
		reason string
	}{
		{"equal", false, canaryOf(199, 200, 20), promoted, "not worse than the current model; answered: dns 199 of 200"},
		{"better", false, canaryOf(199, 100, 20), promoted, "not worse than the current model; answered: dns 199 of 200"},
		{"worse", false, canaryOf(180, 200, 20), aside, "dns: 180 of 200 packets answered, of the current model's 200 of 200"},
		{"first", true, canaryOf(3, 0, 20), promoted, "the first model; answered: dns 3 of 200"},
		{"first, not answered", true, canaryOf(0, 0, 20), aside, "dns: none of 200 packets answered, of captured ones 20 of 20"},
		{"first, nothing captured to compare with", true, with(canaryOf(0, 0, 0), func(l *model.CanaryLabel) { l.Ceiling = model.Outcome{} }),
			aside, "dns: none of 200 packets answered, of captured ones 0 of 0"},
		{"first, dead network", true, canaryOf(0, 0, 0), promoted,
			"the network answers nothing, of captured packets neither (dns 20): promoted untried, since there is no other"},
		{"dead network", false, canaryOf(0, 0, 0), aside,
			"the network answers nothing, of captured packets neither (dns 20): it could not be tried"},
		{"not a dead network: the current model is answered", false, canaryOf(0, 200, 0), aside,
			"dns: 0 of 200 packets answered, of the current model's 200 of 200"},
		{"both as bad", false, canaryOf(0, 0, 20), promoted, "not worse than the current model; answered: dns 0 of 200"},
		{"duplicates", false, with(canaryOf(200, 200, 20), func(l *model.CanaryLabel) { l.Variety.Duplicates = 30 }), aside,
			"dns: 30 of 200 packets are duplicates, of the current model's 0"},
		{"one thing only", false, with(canaryOf(200, 200, 20), func(l *model.CanaryLabel) { l.Variety.Keys = 1 }), aside,
			"dns: 200 packets ask for 1 things, the current model's for 80"},
		{"no answers expected", false, with(canaryOf(0, 0, 0), func(l *model.CanaryLabel) { l.Model, l.Ceiling = model.Outcome{Generated: 200}, model.Outcome{} }),
			promoted, "not worse than the current model; answered: dns 0 of 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, reason := gate{labels: []string{"dns"}, first: tt.first}.tried(tt.canary)
			if diff := cmp.Diff([]string{string(tt.state), tt.reason}, []string{string(state), reason}); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGatePartlyDead: a label whose server is down says nothing about the
// model, and the others decide.
func TestGatePartlyDead(t *testing.T) {
	c := canaryOf(0, 0, 0)
	c.Labels = append(c.Labels, canaryOf(200, 200, 20).Labels[0])
	c.Labels[1].Label = "http"
	state, reason := gate{first: true}.tried(c)
	if want := "the first model; answered: dns 0 of 200, http 200 of 200"; state != model.StatePromoted || reason != want {
		t.Errorf("%s: %s, want %s", state, reason, want)
	}
}

func TestGateHeld(t *testing.T) {
	report := func(edit func(*quality.Report)) map[string]quality.Report {
		r := quality.Report{AUC: 0.52}
		r.N = quality.Counts{Generated: 2000, Covered: 99, TrainKeys: 100, AUCPerClass: 500}
		r.FieldJSD.Mean, r.FieldJSDFloor.Mean = 0.05, 0.04
		edit(&r)
		return map[string]quality.Report{"dns": r}
	}
	same := func(*quality.Report) {}
	tests := []struct {
		name      string
		edit      func(*quality.Report)
		want      string
		elsewhere string // as it learned another gateway's packets
	}{
		{"equal", same, "", ""},
		{"a little of each", func(r *quality.Report) {
			r.N.Covered, r.N.Duplicates, r.FieldJSD.Mean, r.AUC = 97, 3, 0.08, 0.57
		}, "", ""},
		{"coverage", func(r *quality.Report) { r.N.Covered = 60 }, "dns: covers 60 of 100 keys, the current model 99", "dns: covers 60 of 100 keys, the current model 99"},
		{"duplicates", func(r *quality.Report) { r.N.Duplicates = 100 }, "dns: 100 of 2000 packets are duplicates, of the current model's 0",
			"dns: 100 of 2000 packets are duplicates, of the current model's 0"},
		{"fields", func(r *quality.Report) { r.FieldJSD.Mean = 0.1 }, "dns: field distance 0.100, the current model's 0.050, between real packets 0.040", ""},
		{"told apart", func(r *quality.Report) { r.AUC = 0.8 }, "dns: told from real packets with AUC 0.80, the current model's 0.52", ""},
		{"not measured", func(r *quality.Report) { r.AUC, r.N.AUCPerClass = 0.8, 0 }, "", ""},
	}
	for _, tt := range tests {
		g := gate{labels: []string{"dns", "http"}, quality: report(tt.edit), rival: report(same)}
		if got := strings.Join(g.held(), "; "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		g.elsewhere = true
		if got := strings.Join(g.held(), "; "); got != tt.elsewhere {
			t.Errorf("%s: %q of another gateway's model, want %q", tt.name, got, tt.elsewhere)
		}
		g.rival = nil
		if got := g.held(); got != nil {
			t.Errorf("%s: %q without a current model", tt.name, got)
		}
	}
}
