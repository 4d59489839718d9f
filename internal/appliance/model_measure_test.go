package appliance

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/privacy"
)

// requests are packets of a label that differ, with a TTL.
func requests(t *testing.T, label string, n int, ttl uint8) []packet.Packet {
	t.Helper()
	var out []packet.Packet
	for id := range n {
		ip := over4(id*7919, 0)
		ip.TTL = ttl
		out = append(out, packet.Packet{Label: label, Time: time.Unix(1_800_000_000+int64(id), 0), Frame: append(etherHeader(0x0800), query(t, ip, id, 20+id%5)...)})
	}
	return out
}

// mustCapture has a state directory hold packets.
func mustCapture(t *testing.T, state string, packets []packet.Packet) {
	t.Helper()
	labels := map[string]bool{}
	for _, p := range packets {
		labels[p.Label] = true
	}
	var names []string
	for name := range labels {
		names = append(names, name)
	}
	store, err := dataset.Open(dataset.Options{Dir: filepath.Join(state, dataDir), Labels: names, MaxBytes: dataset.MinMaxBytes})
	must(t, err)
	for _, p := range packets {
		must(t, store.Append(p))
	}
	must(t, store.Close())
}

// mustTrain trains trees on what a state directory holds and returns the model's ID there.
func mustTrain(t *testing.T, state string, only string) string {
	t.Helper()
	got := run(t, "train", "--state", state, "--recipe", "tree", "--only", only)
	if got.Code != ExitDone {
		t.Fatalf("train: %+v", got)
	}
	return filepath.Base(strings.TrimSpace(got.Stdout))
}

// TestModelMeasure measures a model that was trained elsewhere, of packets with another TTL, against those that were captured
// here: it is worse than the model in use, which lacks a label.
func TestModelMeasure(t *testing.T) {
	here, elsewhere := t.TempDir(), t.TempDir()
	models := filepath.Join(here, modelsDir)
	mustCapture(t, here, slices.Concat(requests(t, "dns", 800, 64), requests(t, "log", 800, 64)))
	mustCapture(t, elsewhere, slices.Concat(requests(t, "dns", 800, 33), requests(t, "log", 800, 64), requests(t, "other", 800, 64)))
	current := mustTrain(t, here, "dns")
	must(t, model.Promote(models, current))
	foreign := mustTrain(t, elsewhere, "dns,log,other")
	mustRun(t, "cp", "-r", filepath.Join(elsewhere, modelsDir, foreign), models)

	if got := run(t, "model", "measure", foreign, "--state", here); got.Code != ExitDone || !strings.Contains(got.Stdout, "held out") {
		t.Fatalf("%+v", got)
	}
	manifest, err := model.ReadManifest(filepath.Join(models, foreign))
	must(t, err)
	quality, err := reportsOf(manifest.Quality)
	must(t, err)
	if manifest.Rival == nil || manifest.Rival.ID != current {
		t.Fatalf("rival %+v, want %s", manifest.Rival, current)
	}
	rival, err := reportsOf(manifest.Rival.Quality)
	must(t, err)
	if len(quality) != 2 || len(rival) != 1 || quality["log"].N.HeldOut == 0 {
		t.Errorf("measured %+v, of the model in use %+v", quality, rival)
	}
	held := gate{labels: []string{"dns", "log", "other"}, quality: quality, rival: rival}.held()
	if want := "dns: field distance 0."; !strings.Contains(strings.Join(held, "; "), want) {
		t.Errorf("held: %q, want %s", held, want)
	}

	// As the daemon has it done, of what came after a time: with fewer packets, and of the model in use without a rival.
	t.Setenv(asProgram, "1")
	since := occasion{since: time.Unix(1_800_000_000+500, 0)}
	must(t, measureChild(t.Context(), roomy, append([]string{current, "--state", here}, since.sinceArgs(10)...)))
	manifest, err = model.ReadManifest(filepath.Join(models, current))
	must(t, err)
	if quality, err = reportsOf(manifest.Quality); err != nil || manifest.Rival != nil || quality["dns"].N.HeldOut == 0 || quality["dns"].N.HeldOut >= rival["dns"].N.HeldOut {
		t.Errorf("%v; rival %v, held out %d of %d", err, manifest.Rival, quality["dns"].N.HeldOut, rival["dns"].N.HeldOut)
	}
	err = measureChild(t.Context(), roomy, []string{"20260102T150405Z-0123abcd", "--state", here})
	if want := fmt.Sprintf("measuring: no model %q in %s: see pacgan-appliance model list", "20260102T150405Z-0123abcd", models); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestWorsePrivacy(t *testing.T) {
	encode := func(reports map[string]privacy.Report) json.RawMessage {
		text, err := json.Marshal(reports)
		must(t, err)
		return text
	}
	trained := encode(map[string]privacy.Report{"dns": {Memorised: 0.5}, "ping": {Memorised: 0.1}, "http": {Memorised: 0.2}})
	here := encode(map[string]privacy.Report{"dns": {Memorised: 0}, "ping": {Memorised: 0.3}, "log": {Memorised: 0.4}})
	got, err := worsePrivacy(trained, here)
	must(t, err)
	want := map[string]float64{"dns": 0.5, "ping": 0.3, "http": 0.2, "log": 0.4}
	reports, err := privacyReports(&model.Manifest{Privacy: got})
	must(t, err)
	share := map[string]float64{}
	for label, r := range reports {
		share[label] = r.Memorised
	}
	if diff := cmp.Diff(want, share); diff != "" {
		t.Errorf("memorised (-want +got):\n%s", diff)
	}
}
