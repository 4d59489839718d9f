package appliance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
)

// judged waits until a model beside those in known is judged, and returns it.
func (d *running) judged(t *testing.T, known map[string]bool) model.Entry {
	t.Helper()
	var found model.Entry
	eventually(t, "no new model is judged", func() bool {
		entries, err := model.List(filepath.Join(d.cfg.State.Dir, modelsDir))
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		must(t, err)
		for _, e := range entries {
			if !known[e.ID] && e.Manifest != nil && e.Manifest.Judgement != nil {
				found = e
			}
		}
		return found.ID != ""
	})
	known[found.ID] = true
	return found
}

// wantJudgement compares the state, and the reason with a pattern.
func wantJudgement(t *testing.T, e model.Entry, state model.State, reason string) {
	t.Helper()
	j := e.Manifest.Judgement
	if j.State != state || !regexp.MustCompile(reason).MatchString(j.Reason) {
		t.Errorf("model %s: %s: %s; want %s: %s", e.ID, j.State, j.Reason, state, reason)
	}
}

// poison has a daemon that is stopped remember questions for names that no
// server knows, in the place of those that its clients asked for. It returns
// the folder with those.
func (d *running) poison(t *testing.T) (kept string) {
	t.Helper()
	data := filepath.Join(d.cfg.State.Dir, dataDir)
	kept = filepath.Join(t.TempDir(), "dns")
	o := dataset.Options{Dir: data, Labels: labelNames(d.cfg), MaxBytes: int64(d.cfg.State.MaxBytes)}
	store, err := dataset.OpenReadOnly(data)
	must(t, err)
	captured, err := store.Read("dns", 0)
	must(t, err)
	must(t, store.Close())
	must(t, os.Rename(filepath.Join(data, "dns"), kept))
	store, err = dataset.Open(o)
	must(t, err)
	for _, c := range captured {
		const name = 14 + 20 + 8 + 12 + 1 // Ethernet, IPv4, UDP, DNS, length of the first label
		frame := bytes.Clone(c.Frame)
		frame[name] = 'z'
		frame[name+1] = 'q'
		must(t, store.Append(packet.Packet{Label: c.Label, Time: c.Time, Frame: frame}))
	}
	must(t, store.Close())
	return kept
}

// TestGateOnTheWire trains a first model, a worse one and a better one, and
// one while no server answers. The canary decides which of them take over.
func TestGateOnTheWire(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	models := filepath.Join(d.cfg.State.Dir, modelsDir)
	known := map[string]bool{}
	d.train(t)
	first := d.judged(t, known)
	wantJudgement(t, first, model.StatePromoted, `^the first model; answered: ping [0-9]+ of 200, dns [0-9]+ of 200, http [0-9]+ of 200$`)
	if s := d.status(t); s.Model.ID != first.ID {
		t.Errorf("model %s is in use", s.Model.ID)
	}
	for _, l := range first.Manifest.Judgement.Canary.Labels {
		if l.Model.Generated != canaryPackets || l.Current.Generated != 0 || l.Variety.Packets != canaryPackets || l.Variety.Keys == 0 {
			t.Errorf("canary of %s: %+v", l.Label, l)
		}
	}

	d.stop(t)
	kept := d.poison(t)
	d.start(t)
	d.mustDo(t, "training with recipe tree", "train", "now")
	worse := d.judged(t, known)
	wantJudgement(t, worse, model.StateAside, `^dns: [0-9] of 200 packets answered, of the current model's ([0-9]+) of [0-9]+$`)
	for _, l := range worse.Manifest.Judgement.Canary.Labels {
		if l.Model.Generated != canaryPackets || l.Current.Answered == 0 || l.CurrentVariety.Packets != canaryPackets {
			t.Errorf("canary of %s: %+v", l.Label, l)
		}
	}
	s := d.status(t)
	if s.Model.ID != first.ID || s.Labels[1].success().Rate < 0.9 {
		t.Errorf("model %s is in use, and %+v of its questions are answered", s.Model.ID, s.Labels[1].success())
	}

	d.stop(t)
	must(t, model.Promote(models, worse.ID)) // as a person may
	must(t, os.RemoveAll(filepath.Join(d.cfg.State.Dir, dataDir, "dns")))
	must(t, os.Rename(kept, filepath.Join(d.cfg.State.Dir, dataDir, "dns")))
	d.start(t)
	if s := d.status(t); s.Model.ID != worse.ID {
		t.Errorf("model %s is in use", s.Model.ID)
	}
	d.mustDo(t, "training with recipe tree", "train", "now")
	better := d.judged(t, known)
	wantJudgement(t, better, model.StatePromoted, `^not worse than the current model; answered: ping [0-9]+ of 200, dns [0-9]+ of 200, http [0-9]+ of 200$`)
	eventually(t, "the better model is not in use", func() bool { return d.status(t).Model.ID == better.ID })

	must(t, d.network.StopServers(t.Context()))
	d.mustDo(t, "training with recipe tree", "train", "now")
	wantJudgement(t, d.judged(t, known), model.StateAside,
		`^the network answers nothing, of captured packets neither \(ping [0-9]+, dns [0-9]+, http [0-9]+\): it could not be tried$`)
	if s := d.status(t); s.Model.ID != better.ID {
		t.Errorf("model %s is in use", s.Model.ID)
	}
}

// TestGateFirstOnADeadNetwork promotes a first model that nothing answers, as
// long as captured packets are not answered either.
func TestGateFirstOnADeadNetwork(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Train.MinPackets = 10_000 })
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	must(t, d.network.StopServers(t.Context()))
	d.write(t, func(c *config.Config) { c.Train.MinPackets = 300 })
	d.mustDo(t, "reloaded; changed: train.min_packets", "reload")
	e := d.judged(t, map[string]bool{})
	wantJudgement(t, e, model.StatePromoted,
		`^the network answers nothing, of captured packets neither \(ping [0-9]+, dns [0-9]+, http [0-9]+\): promoted untried, since there is no other$`)
	eventually(t, "it is not in use", func() bool { m := d.status(t).Model; return m != nil && m.ID == e.ID })
}
