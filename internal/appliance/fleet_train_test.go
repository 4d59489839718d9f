package appliance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/shelf"
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

// TestFleetTrains has a gateway's model trained by a trainer: its gate judges it, and it is in use. A model that is none is
// refused with one line, and what was in use stays.
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
	origin := filepath.Join(d.cfg.State.Dir, modelsDir, last.Model, originFile)
	text, err := os.ReadFile(origin)
	must(t, err)
	if !strings.Contains(string(text), `"member":"big"`) || !strings.Contains(string(text), string(shelf.Model)) {
		t.Errorf("origin %s", text)
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
