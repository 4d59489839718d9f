package model

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testJudgement() Judgement {
	return Judgement{
		State: StateAside, Reason: "dns: 90 of 200 answered", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Canary: &Canary{Began: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Seconds: 5, Labels: []CanaryLabel{{
			Label: "dns", Model: Outcome{200, 90, 200, 0.45, 0.38, 0.52}, Current: Outcome{Generated: 3, High: 1},
			Ceiling: Outcome{20, 20, 20, 1, 0.84, 1}, Variety: Variety{200, 1, 80}, CurrentVariety: Variety{200, 0, 90},
		}}},
	}
}

// TestJudge replaces the judgement and leaves all else, the weights included.
func TestJudge(t *testing.T) {
	models := t.TempDir()
	man := testManifest()
	man.Training = &Training{
		Step: 40, Steps: 450, Seconds: 60, Packets: map[string]int{"dns": 1500}, Until: man.Created.UTC(), Floor: 0.1,
		Curve: []Checkpoint{{Distance: 0.2}, {Step: 40, CriticLoss: 1, GeneratorLoss: -1, Distance: 0.15, Seconds: 9}},
	}
	man.Rival = &Rival{ID: "other", Quality: json.RawMessage(`{"dns":{}}`)}
	id, err := Save(models, mustModel(t, RecipeTree), man)
	mustDo(t, err)
	dir := filepath.Join(models, id)
	_, want, err := Load(dir)
	mustDo(t, err)
	if want.Judgement != nil {
		t.Errorf("a new model is judged: %+v", want.Judgement)
	}
	mustDo(t, os.WriteFile(filepath.Join(dir, unfinished+manifestFile), []byte("of a program that was killed"), 0o600))
	for _, state := range []State{StateAside, StatePromoted} {
		j := testJudgement()
		j.State = state
		mustDo(t, Judge(models, id, j))
		_, got, err := Load(dir)
		mustDo(t, err)
		want.Judgement = &j
		if diff := cmp.Diff(want, got, cmp.Comparer(equalJSON)); diff != "" {
			t.Errorf("manifest (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{generatorFile, manifestFile}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestJudgeRefuses(t *testing.T) {
	models := t.TempDir()
	for id, want := range map[string]string{
		"../x":    `judge model: model ID "../x": must be the name of a directory`,
		"missing": "judge: model " + models + "/missing: open ",
	} {
		if err := Judge(models, id, testJudgement()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s...", id, err, want)
		}
	}
}

// TestPrevious follows the times of the promotions, not the models' ages.
func TestPrevious(t *testing.T) {
	models := t.TempDir()
	ids := []string{mustSaveAt(t, models, 1), mustSaveAt(t, models, 2), mustSaveAt(t, models, 3), mustSaveAt(t, models, 4)}
	judge := func(id string, state State, minute int) {
		t.Helper()
		j := testJudgement()
		j.State, j.At = state, time.Date(2026, 1, 2, 5, minute, 0, 0, time.UTC)
		mustDo(t, Judge(models, id, j))
	}
	wantNone := func() {
		t.Helper()
		if id, err := Previous(models); !errors.Is(err, ErrNoPrevious) {
			t.Errorf("previous is %q, %v", id, err)
		}
	}
	if _, err := Previous(models); !errors.Is(err, ErrNoModel) {
		t.Errorf("error %v without a model", err)
	}
	mustDo(t, Promote(models, ids[1]))
	wantNone() // none is judged, as of older versions
	judge(ids[1], StatePromoted, 30)
	judge(ids[2], StateAside, 20)
	judge(ids[3], StatePromoted, 40) // of a program that was killed before the rename
	wantNone()
	judge(ids[0], StatePromoted, 10)
	judge(ids[2], StatePromoted, 20)
	if id, err := Previous(models); id != ids[2] || err != nil {
		t.Errorf("previous is %q (%v), want %s", id, err, ids[2])
	}
}
