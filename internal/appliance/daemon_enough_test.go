package appliance

import (
	"log/slog"
	"path/filepath"
	"testing"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
)

// TestNothingToTrain: where no label has enough packets a training is refused with what is missing. Naming none of them to
// the training would have it learn all that is stored.
func TestNothingToTrain(t *testing.T) {
	dir := t.TempDir()
	store, err := dataset.Open(dataset.Options{Dir: filepath.Join(dir, dataDir), Labels: []string{"dns", "http"}, MaxBytes: 1 << 23})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	cfg := config.Default()
	cfg.State.Dir = dir
	cfg.Labels = []config.Label{{Name: "dns"}, {Name: "http"}}
	s := &service{store: store, log: slog.New(slog.DiscardHandler)}
	s.cfg.Store(&cfg)
	_, err = s.trainOrResume(t.Context(), &runningTraining{occasion: occasion{recipe: config.RecipeTree}})
	const want = "too few packets: dns 0 of 500, http 0 of 500"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
