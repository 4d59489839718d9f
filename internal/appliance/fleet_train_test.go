package appliance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
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

// startTrainer runs a trainer of the fleet's, with the rights that "hub init" gives one, for a gateway.
func (h *hubRun) startTrainer(t *testing.T, name, gateway string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "trainer", "--url", h.url, "--name", name, "--key", filepath.Join(h.dir, "members", name, "member.nk"),
		"--ca", filepath.Join(h.dir, hub.CAFile), "--trust", h.publicKey(t, gateway), "--state", filepath.Join(t.TempDir(), name))
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stderr = t.Output()
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("trainer: %v", err)
		}
	})
	eventually(t, "no trainer", func() bool {
		b, ok := h.beat(t, name)
		return ok && b.Role == fleet.Trainer && b.State == "idle"
	})
}

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
			must(t, json.Unmarshal(e.Value(), &end))
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
	h := mustHubRun(t, []string{"lab-a"}, []string{"big"})
	h.startTrainer(t, "big", "lab-a")
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
}
