package appliance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/member"
	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/packet"
)

// publicKey is a member's.
func (h *hubRun) publicKey(t *testing.T, name string) string {
	t.Helper()
	key, err := fleet.LoadKey(filepath.Join(h.dir, "members", name, "member.nk"))
	must(t, err)
	public, err := key.PublicKey()
	must(t, err)
	return public
}

// trainerRun is a trainer in a process of its own.
type trainerRun struct {
	cmd    *exec.Cmd
	stderr lockedBuffer
	killed bool
}

// startTrainer runs a trainer of the fleet's with what "hub init" made for it, in a directory of the test's.
func (h *hubRun) startTrainer(t *testing.T, name string) *trainerRun {
	t.Helper()
	dir := filepath.Join(h.dir, "members", name)
	text, err := os.ReadFile(filepath.Join(dir, "fleet.toml"))
	must(t, err)
	file := mustWrite(t, filepath.Join(t.TempDir(), "fleet.toml"), strings.ReplaceAll(string(text), "\"/etc/pacgan-appliance/fleet", "\""+dir))
	r := &trainerRun{cmd: exec.Command("/proc/self/exe", "trainer", "--config", file, "--state", filepath.Join(t.TempDir(), name))}
	r.cmd.Env = append(os.Environ(), asProgram+"=1")
	r.cmd.Stderr = &r.stderr
	must(t, r.cmd.Start())
	t.Cleanup(func() {
		if !r.killed {
			_ = r.cmd.Process.Signal(syscall.SIGTERM)
			if err := r.cmd.Wait(); err != nil {
				t.Errorf("trainer: %v", err)
			}
		}
		if t.Failed() {
			t.Logf("the trainer said:\n%s", &r.stderr)
		}
	})
	eventually(t, "no trainer", func() bool {
		b, ok := h.beat(t, name)
		return ok && b.Role == fleet.Trainer && b.State == "idle"
	})
	return r
}

// works is how many works the trainer has taken.
func (r *trainerRun) works() int { return strings.Count(r.stderr.String(), "msg=training ") }

// mustPoorModel is a model, trained elsewhere, that the servers answer as well as any, and that comes from nowhere near the
// gateway's clients: its packets have come through fourteen routers more.
func (d *running) mustPoorModel(t *testing.T) (dir string) {
	t.Helper()
	store, err := dataset.OpenReadOnly(filepath.Join(d.cfg.State.Dir, dataDir))
	must(t, err)
	var far []packet.Packet
	for _, label := range lab.Labels() {
		captured, err := store.Read(label, 0)
		must(t, err)
		for _, p := range captured {
			const ttl = 14 + 8 // behind Ethernet, in IPv4
			p.Frame[ttl] -= 14
			far = append(far, p)
		}
	}
	must(t, store.Close())
	state := t.TempDir()
	mustCapture(t, state, far)
	return filepath.Join(state, modelsDir, mustTrain(t, state, strings.Join(lab.Labels(), ",")))
}

// rolledOut is how a model's rollout ended.
func (h *hubRun) rolledOut(t *testing.T, sha256 string) (end fleet.Rollout) {
	t.Helper()
	kv, err := h.js.KeyValue(t.Context(), fleet.RolloutBucket)
	must(t, err)
	watch, err := kv.WatchAll(t.Context())
	must(t, err)
	defer func() { must(t, watch.Stop()) }()
	late := time.After(5 * time.Minute)
	for {
		select {
		case <-late:
			t.Fatalf("no rollout of %s has ended", sha256)
		case e := <-watch.Updates():
			if e == nil { // all that there was
				continue
			}
			must(t, fleet.OpenJSON(mustPublic(h.key), fleet.KeySubject(fleet.RolloutBucket, e.Key()), e.Value(), &end))
			if end.Model == sha256 && end.State.Ended() {
				return end
			}
			end = fleet.Rollout{}
		}
	}
}

// mustShelve puts a model on the shelf, as a trainer does that learned lab-a's packets.
func (h *hubRun) mustShelve(t *testing.T, dir, trainer string) (sha256 string) {
	t.Helper()
	key, err := fleet.LoadKey(filepath.Join(h.dir, "members", trainer, "member.nk"))
	must(t, err)
	m, err := shelf.Put(t.Context(), h.js, fleet.ModelBucket, dir, t.TempDir(), func(string) bool { return true },
		shelf.Manifest{Kind: shelf.Model, Member: trainer, Role: fleet.Trainer, Gateway: "lab-a", Labels: lab.Labels(), Name: filepath.Base(dir)}, key)
	must(t, err)
	return m.SHA256
}

// TestFleetTrains has a gateway's model trained by a trainer: its gate judges it, and it is in use. One that is not like what
// was captured here is kept aside, though it would be answered. A model that is none is refused with one line, and what was
// in use stays.
func TestFleetTrains(t *testing.T) {
	withoutRace(t)
	h := mustHubRun(t, []string{"lab-a", "lab-b"}, []string{"big"})
	trainer := h.startTrainer(t, "big")
	join := h.join("lab-a")
	d := mustDaemon(t, func(c *config.Config) {
		join(c)
		c.Fleet.Trust = []string{h.publicKey(t, "big")}
	})
	d.train(t)
	var last fleet.Beat
	eventually(t, "no model of the trainer's is in use", func() bool {
		b, ok := h.beat(t, "lab-a")
		last = b
		return ok && b.Tried != nil && b.Tried.Promoted && b.Model != ""
	})
	first := last.Model
	if end := h.rolledOut(t, last.Tried.SHA256); end.State != fleet.RolloutPromoted { // it also desires
		t.Errorf("rollout %+v", end)
	}
	if got := mustList(t, d.cfg.State.Dir)[0]; got.ID != first || got.Origin == nil || got.Origin.Trainer != "big" || got.Origin.Gateway != "lab-a" || got.Origin.SHA256 != last.Tried.SHA256 {
		t.Errorf("%s has origin %+v", got.ID, got.Origin)
	}
	poor := h.mustShelve(t, d.mustPoorModel(t), "big")
	h.desire(t, "lab-a", fleet.Desired{Model: poor})
	eventually(t, "the poor model is not tried", func() bool {
		b, ok := h.beat(t, "lab-a")
		last = b
		return ok && b.Tried != nil && b.Tried.SHA256 == poor
	})
	if want := "ping: told from real packets with AUC 1.00, the current model's 0."; last.Tried.Promoted || !strings.Contains(last.Tried.Reason, want) || last.Model != first {
		t.Errorf("in use %s; %+v, want %s", last.Model, last.Tried, want)
	}

	store, err := h.js.ObjectStore(t.Context(), fleet.ModelBucket)
	must(t, err)
	info, err := store.GetInfo(t.Context(), last.Tried.SHA256)
	must(t, err)
	bad := strings.Repeat("0", 64)
	info.Name = bad
	_, err = store.Put(t.Context(), info.ObjectMeta, strings.NewReader("not what was signed"))
	must(t, err)
	h.desire(t, "lab-a", fleet.Desired{Model: bad})
	eventually(t, "the tampered model is not refused", func() bool {
		b, ok := h.beat(t, "lab-a")
		last = b
		return ok && b.Tried != nil && b.Tried.SHA256 == bad
	})
	if last.Tried.Promoted || !strings.HasPrefix(last.Tried.Reason, "model 00000000 of bucket pacgan-models: refused: ") || strings.Contains(last.Tried.Reason, "\n") {
		t.Errorf("%+v", last.Tried)
	}

	d.mustGoBack(t, h, first)
	d.mustTrainAlone(t, trainer)
}

// mustGoBack has a second model of the trainer's be used here, and then fail at another gateway: it is not used here any more.
func (d *running) mustGoBack(t *testing.T, h *hubRun, before string) {
	t.Helper()
	var wish atomic.Pointer[fleet.Desired]
	h.startOther(t, "lab-b", &wish)
	d.mustDo(t, "training with recipe tree", "train", "now")
	var sum string
	eventually(t, "the second model is not used on both", func() bool {
		b, _ := h.beat(t, "lab-a")
		w := wish.Load()
		if b.Tried == nil || !b.Tried.Promoted || b.Model == before || w == nil || w.Model != b.Tried.SHA256 {
			return false
		}
		sum = b.Tried.SHA256
		return true
	})
	end := h.rolledOut(t, sum)
	if want := regexp.MustCompile(`^lab-b: (ping|dns|http): 500 of 1000 packets answered, before it 1000 of 1000$`); end.State != fleet.RolloutBack || !want.MatchString(end.Reason) {
		t.Errorf("rollout %s: %s, want %s: %s", end.State, end.Reason, fleet.RolloutBack, want)
	}
	var last fleet.Beat
	eventually(t, "the model before is not in use again", func() bool {
		last, _ = h.beat(t, "lab-a")
		return last.Model == before && last.Tried != nil && !last.Tried.Promoted
	})
	if want := "back to " + before + "; "; last.Tried.SHA256 != sum || !strings.HasPrefix(last.Tried.Reason, want) {
		t.Errorf("%+v, want %s", last.Tried, want)
	}
	eventually(t, "the other gateway does not go back", func() bool { w := wish.Load(); return w.Model == sum && w.Back })
}

// startOther is another gateway of the fleet's, without a network: it takes any model, and then half of what it sends is answered.
func (h *hubRun) startOther(t *testing.T, name string, wish *atomic.Pointer[fleet.Desired]) {
	t.Helper()
	log, err := newLogger(&h.stderr, nil)
	must(t, err)
	labels := func(generated, answered uint64) (all []fleet.LabelBeat) {
		for _, label := range lab.Labels() {
			all = append(all, fleet.LabelBeat{Name: label, Generated: generated, Answered: answered})
		}
		return all
	}
	before, after := labels(1000, 1000), labels(2000, 1500)
	var c config.Config
	h.join(name)(&c)
	key, err := fleet.LoadKey(c.Fleet.Key)
	must(t, err)
	g := &member.Gateway{
		Options: fleet.Options{URL: c.Fleet.URL, Name: name, Key: c.Fleet.Key, CA: c.Fleet.CA, Log: log}, Key: key, Hub: c.Fleet.Hub, State: t.TempDir(),
		Beat: func() (fleet.Beat, error) {
			b := fleet.Beat{Version: "test", Time: time.Now(), State: "injecting", Labels: before}
			if w := wish.Load(); w != nil && w.Model != "" {
				b.Tried = &fleet.Tried{SHA256: w.Model, Promoted: !w.Back, Counts: before}
				b.Labels = after
			}
			return b, nil
		},
		Take: func(w member.Wish, _ error) { wish.Store(&w.Desired) },
		Do:   func(string) (string, error) { return "nothing to do", nil },
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	eventually(t, "the other gateway is not there", func() bool { _, ok := h.beat(t, name); return ok })
}

// mustTrainAlone kills the trainer while it trains, for good: the gateway trains for itself.
func (d *running) mustTrainAlone(t *testing.T, trainer *trainerRun) {
	t.Helper()
	known, works := map[string]bool{}, trainer.works()
	for _, r := range mustList(t, d.cfg.State.Dir) {
		known[r.ID] = true
	}
	d.mustDo(t, "training with recipe tree", "train", "now")
	eventually(t, "the trainer takes no work", func() bool { return trainer.works() > works })
	must(t, trainer.cmd.Process.Kill())
	_ = trainer.cmd.Wait() // says that it was killed
	trainer.killed = true
	e := d.judged(t, known)
	if origin, err := readOrigin(filepath.Join(d.cfg.State.Dir, modelsDir, e.ID)); err != nil || origin != nil {
		t.Errorf("%s: %v, origin %+v, want one trained here", e.ID, err, origin)
	}
	if want := "the trainer is gone: none has been there for"; !strings.Contains(d.stderr.String(), want) {
		t.Errorf("want %s; the daemon says:\n%s", want, d.stderr)
	}
}
