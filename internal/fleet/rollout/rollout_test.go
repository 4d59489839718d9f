package rollout_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
	"pacgan-appliance/internal/fleet/rollout"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

const (
	beatEvery = 20 * time.Millisecond
	watched   = 400 * time.Millisecond
)

// gateway is a simulated one: a real client, whose packets and trials are made up.
type gateway struct {
	name    string
	labels  []string
	refuses string  // why it takes no model; "": it does
	after   float64 // success once it has taken one; before it is 0.9

	hub    string // its public key
	key    nkeys.KeyPair
	mu     sync.Mutex
	heard  []fleet.Desired // what it was told, in order
	uses   string          // SHA-256
	tried  *fleet.Tried
	counts []fleet.LabelBeat
}

func (g *gateway) run(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx := t.Context()
	g.hub, g.key = fleettest.Public(t, "hub"), fleettest.Key(t, g.name)
	desired, err := js.KeyValue(ctx, fleet.DesiredBucket)
	must(t, err)
	beats, err := js.KeyValue(ctx, fleet.BeatBucket)
	must(t, err)
	watch, err := desired.Watch(ctx, g.name)
	must(t, err)
	for _, l := range g.labels {
		g.counts = append(g.counts, fleet.LabelBeat{Name: l, Generated: 1000, Answered: 900})
	}
	must(t, g.beat(ctx, beats)) // it is known from now on
	go func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case entry := <-watch.Updates():
				if entry != nil {
					g.obey(entry.Value())
				}
			case <-tick.C:
				_ = g.beat(ctx, beats) // the test may have ended
			}
		}
	}()
}

func (g *gateway) obey(text []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, err := fleet.OpenDesired(g.hub, g.name, text)
	if err != nil {
		panic(err)
	}
	d.Serial = 0
	g.heard = append(g.heard, d)
	switch {
	case d.Back:
		g.uses = ""
	case d.Model != "" && g.refuses != "":
		g.tried = &fleet.Tried{SHA256: d.Model, Reason: g.refuses}
	case d.Model != "":
		g.uses, g.tried = d.Model, &fleet.Tried{SHA256: d.Model, Promoted: true, Reason: "as good", Counts: slices.Clone(g.counts)}
	}
}

func (g *gateway) beat(ctx context.Context, beats jetstream.KeyValue) error {
	g.mu.Lock()
	success := 0.9
	if g.uses != "" {
		success = g.after
	}
	for i := range g.counts {
		g.counts[i].Generated += 100
		g.counts[i].Answered += uint64(100 * success)
	}
	text, err := fleet.SealJSON(g.key, fleet.KeySubject(fleet.BeatBucket, g.name), fleet.Beat{Name: g.name, Role: fleet.Gateway, Time: time.Now(), Labels: g.counts, Tried: g.tried})
	g.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = beats.Put(ctx, g.name, text)
	return err
}

func (g *gateway) told() []fleet.Desired {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.heard)
}

func connect(t *testing.T, s *server.Server) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	c, err := nats.Connect(s.ClientURL())
	must(t, err)
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	must(t, err)
	return c, js
}

func options(t *testing.T) rollout.Options {
	return rollout.Options{Key: fleettest.Key(t, "hub"), Keys: fleettest.Keyring(t), Watch: watched, Wait: 20 * time.Second, Ack: time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// begin rolls out until the test ends.
func begin(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	o := options(t)
	go func() { done <- rollout.Run(ctx, js, o) }()
	t.Cleanup(func() { cancel(); must(t, <-done) })
}

func candidate(t *testing.T, js jetstream.JetStream, c fleet.Candidate) {
	t.Helper()
	c.Trainer = "t"
	text, err := fleet.SealJSON(fleettest.Key(t, "t"), fleet.CandidateSubject("t"), c)
	must(t, err)
	_, err = js.Publish(t.Context(), fleet.CandidateSubject("t"), text)
	must(t, err)
}

// ended waits for what became of a work.
func ended(t *testing.T, js jetstream.JetStream, work string) fleet.Rollout {
	t.Helper()
	return record(t, js, work, func(r fleet.Rollout) bool { return r.State.Ended() })
}

func record(t *testing.T, js jetstream.JetStream, work string, ok func(fleet.Rollout) bool) fleet.Rollout {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), fleet.RolloutBucket)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := kv.Watch(ctx, work)
	must(t, err)
	for entry := range watch.Updates() {
		var r fleet.Rollout
		if entry == nil {
			continue
		}
		must(t, fleet.OpenJSON(fleettest.Public(t, "hub"), fleet.KeySubject(fleet.RolloutBucket, work), entry.Value(), &r))
		if ok(r) {
			return r
		}
	}
	t.Fatalf("work %s is not as wanted in time", work)
	return fleet.Rollout{}
}

func TestRollout(t *testing.T) {
	both := []string{"dns", "http"}
	for _, tt := range []struct {
		name       string
		gateways   []*gateway // the first one's data was learned
		failed     string     // no model came of it
		state      fleet.RolloutState
		reason     string // the beginning
		told, back []string
	}{
		{"taken everywhere", []*gateway{{name: "a", labels: both, after: 0.9}, {name: "b", labels: both, after: 0.9}, {name: "c", labels: both[:1], after: 0.95}}, "",
			fleet.RolloutPromoted, "in use at 3 of 3 gateways", []string{"a", "b", "c"}, nil},
		{"not where a label is not learned", []*gateway{{name: "a", labels: both, after: 0.9}, {name: "b", labels: []string{"dns", "smtp"}, after: 0.9}}, "",
			fleet.RolloutPromoted, "in use at 1 of 1 gateways", []string{"a"}, nil},
		{"refused by the first", []*gateway{{name: "a", labels: both, refuses: "dns: 3 of 200 packets answered"}, {name: "b", labels: both}}, "",
			fleet.RolloutRefused, "a: dns: 3 of 200 packets answered", []string{"a"}, nil},
		{"refused by another", []*gateway{{name: "a", labels: both, after: 0.9}, {name: "b", labels: both, refuses: "no"}}, "",
			fleet.RolloutPromoted, "in use at 1 of 2 gateways; b refused it: no", []string{"a", "b"}, nil},
		{"worse at the first", []*gateway{{name: "a", labels: both, after: 0.5}, {name: "b", labels: both, after: 0.9}}, "",
			fleet.RolloutBack, "a: dns: ", []string{"a"}, []string{"a"}},
		{"worse at another", []*gateway{{name: "a", labels: both, after: 0.9}, {name: "b", labels: both, after: 0.5}}, "",
			fleet.RolloutBack, "b: dns: ", []string{"a", "b"}, []string{"a", "b"}},
		{"no model", []*gateway{{name: "a", labels: both}, {name: "b", labels: both}}, "training: no label can be learned",
			fleet.RolloutFailed, "training: no label can be learned", []string{"a"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, js := fleettest.Hub(t, "a", "b", "c")
			for _, g := range tt.gateways {
				g.run(t, js)
			}
			c := fleet.Candidate{Work: "w1", Gateway: "a", Model: strings.Repeat("1", 64), Labels: both}
			if tt.failed != "" {
				c = fleet.Candidate{Work: "w1", Gateway: "a", Error: tt.failed}
			}
			candidate(t, js, c)
			begin(t, js)
			got := ended(t, js, "w1")
			if got.State != tt.state || !strings.HasPrefix(got.Reason, tt.reason) {
				t.Errorf("%s: %s\nwant %s: %s", got.State, got.Reason, tt.state, tt.reason)
			}
			candidate(t, js, c) // again: it is known
			candidate(t, js, fleet.Candidate{Work: "w2", Gateway: "a", Error: "last"})
			ended(t, js, "w2")
			var told, back []string
			for _, g := range tt.gateways {
				heard := g.told()
				if slices.ContainsFunc(heard, func(d fleet.Desired) bool { return d.Work == "w1" && d.Error == tt.failed && d.Model == c.Model }) {
					told = append(told, g.name)
				}
				if slices.ContainsFunc(heard, func(d fleet.Desired) bool { return d.Back && d.Why == got.Reason }) {
					back = append(back, g.name)
				}
				if len(heard) > 3 {
					t.Errorf("%s was told %d times: %+v", g.name, len(heard), heard)
				}
			}
			if fmt.Sprint(told, back) != fmt.Sprint(tt.told, tt.back) {
				t.Errorf("told %v, back %v, want %v and %v", told, back, tt.told, tt.back)
			}
		})
	}
}

// TestHubKilled takes the hub's connection away in each state of a rollout, as kill -9 does, and has another one go on. Of
// two candidates the second waits until the first has come to its end.
func TestHubKilled(t *testing.T) {
	s, js := fleettest.Hub(t, "a", "b")
	gateways := []*gateway{{name: "a", labels: []string{"dns"}, after: 0.9}, {name: "b", labels: []string{"dns"}, after: 0.9}}
	for _, w := range []string{"w1", "w2"} {
		candidate(t, js, fleet.Candidate{Work: w, Gateway: "a", Model: strings.Repeat(w[1:], 64), Labels: []string{"dns"}})
	}
	for i, state := range []fleet.RolloutState{fleet.RolloutFirst, fleet.RolloutWatch, fleet.RolloutAll} {
		c, hub := connect(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		o := options(t)
		go func() { done <- rollout.Run(ctx, hub, o) }()
		if i == 1 { // until then nobody answers
			gateways[0].run(t, js)
		}
		if i == 2 {
			gateways[1].run(t, js)
		}
		record(t, js, "w1", func(r fleet.Rollout) bool { return r.State == state || i > 0 && r.State == fleet.RolloutAll })
		c.Close() // nothing that it does from now on gets through
		cancel()
		must(t, <-done)
	}
	begin(t, js)
	first, second := ended(t, js, "w1"), ended(t, js, "w2")
	for _, r := range []fleet.Rollout{first, second} {
		if r.State != fleet.RolloutPromoted {
			t.Errorf("%s: %s", r.State, r.Reason)
		}
	}
	if began := second.Gateways[0].At; began.Before(first.Since) {
		t.Errorf("the second was tried at %v, the first ended at %v", began, first.Since)
	}
}

// TestForgedCandidate: what a trainer did not sign, and a gateway's beat that it did not, move nothing.
func TestForgedCandidate(t *testing.T) {
	s, js := fleettest.Hub(t, "a")
	_, hub := connect(t, s)
	c := fleet.Candidate{Work: "w0", Gateway: "a", Trainer: "t", Model: strings.Repeat("0", 64), Labels: []string{"dns"}}
	for _, by := range []string{"a", "u"} {
		text, err := fleet.SealJSON(fleettest.Key(t, by), fleet.CandidateSubject("t"), c)
		must(t, err)
		_, err = js.Publish(t.Context(), fleet.CandidateSubject("t"), text)
		must(t, err)
	}
	g := &gateway{name: "a", labels: []string{"dns"}, after: 0.9}
	g.run(t, js)
	begin(t, hub)
	c.Work, c.Model = "w1", strings.Repeat("1", 64)
	candidate(t, js, c)
	if r := ended(t, js, "w1"); r.State != fleet.RolloutPromoted {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
	for _, d := range g.told() {
		if d.Work == "w0" {
			t.Errorf("told %+v", d)
		}
	}
}
