package appliance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// TestLabScoresItsSensor is the whole loop: clients and testers are captured,
// learned and generated, Suricata watches, and what it says is scored against
// the truth. What it flags of real packets it flags of generated ones, and
// nothing else.
func TestLabScoresItsSensor(t *testing.T) {
	withoutRace(t)
	labtest.RequireRoot(t)
	labtest.RequireProgram(t, "suricata")
	t.Setenv(asProgram, "1")
	dir := t.TempDir()
	file := filepath.Join(dir, "lab.json")
	cmd := exec.Command("/proc/self/exe", "lab", "--ids", "suricata", "--recipe", "tree", "--capture-packets", "500", "--generate", "400",
		"--rate", "1000", "--seed", "5", "--json", file, "--state", filepath.Join(dir, "state"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("lab: %v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	var report LabReport
	must(t, json.Unmarshal(text, &report))
	if report.Score == nil || len(report.Score.Sensors) != 1 {
		t.Fatalf("the report has no score of one sensor:\n%s", text)
	}
	const perLabel = 2 * 400 // step 0, and the model
	labels := map[string]bool{}
	for _, l := range report.Score.Sensors[0].Labels {
		labels[l.Name] = true
		flagged := slices.Contains(lab.Flagged(), l.Name)
		if l.Malicious != flagged {
			t.Errorf("%s: malicious %t", l.Name, l.Malicious)
		}
		if l.Detected.Of < perLabel*99/100 {
			t.Errorf("%s: %d flows scored, want nearly all of %d: the rest is apart: %v", l.Name, l.Detected.Of, perLabel, l.Apart)
		}
		switch {
		case l.Detected.Rate == nil:
		case flagged && (*l.Recall.Rate < 0.99 || *l.Precision.Rate < 0.99):
			t.Errorf("%s: recall %.4f, precision %.4f, want 0.99 at least", l.Name, *l.Recall.Rate, *l.Precision.Rate)
		case !flagged && *l.Detected.Rate > 0.005:
			t.Errorf("%s: %.4f of the flows have alerts, want at most 0.005", l.Name, *l.Detected.Rate)
		}
	}
	for _, name := range append(lab.Labels(), lab.Flagged()...) {
		if !labels[name] {
			t.Errorf("the score has no label %s", name)
		}
	}
	for _, want := range []string{"What the sensor made of the injected packets", "pacgan lab: path traversal in a URL", "truth "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// TestSensorIsScoredByItsOwnRun: the truth of an earlier run would be misses.
func TestSensorIsScoredByItsOwnRun(t *testing.T) {
	state := t.TempDir()
	own := filepath.Join(state, truthDir, "old.jsonl")
	must(t, os.MkdirAll(filepath.Dir(own), 0o755))
	must(t, os.WriteFile(own, []byte("{}\n"), 0o644))
	must(t, labOptions{ids: "suricata"}.clearTruth(state))
	if _, err := os.Stat(own); !os.IsNotExist(err) {
		t.Errorf("an earlier run's record is still there: %v", err)
	}
	named := filepath.Join(t.TempDir(), "truth")
	must(t, labOptions{ids: "suricata", truth: named}.clearTruth(state))
	must(t, os.MkdirAll(named, 0o755))
	must(t, os.WriteFile(filepath.Join(named, "other.jsonl"), []byte("{}\n"), 0o644))
	err := labOptions{ids: "suricata", truth: named}.clearTruth(state)
	want := "--truth " + named + ": is not empty, and a sensor is scored by all that is there: name a new directory"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
