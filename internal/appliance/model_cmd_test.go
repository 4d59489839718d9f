package appliance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/model"
)

// mustModels saves models in a state directory, an hour between them.
func mustModels(t *testing.T, state string, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id, err := model.Save(filepath.Join(state, modelsDir), mustModel(t, "dns"), model.Manifest{
			Seed: 7, Software: "v1", Created: time.Date(2026, 1, 2, 3+i, 4, 5, 0, time.UTC),
			Training: &model.Training{Seconds: 1.5, Packets: map[string]int{"dns": 1200}},
		})
		must(t, err)
		ids = append(ids, id)
	}
	return ids
}

// mustList is what `model list --json` tells.
func mustList(t *testing.T, state string) (reports []ModelReport) {
	t.Helper()
	got := run(t, "model", "list", "--state", state, "--json")
	if got.Code != ExitDone {
		t.Fatalf("model list: %+v", got)
	}
	must(t, json.Unmarshal([]byte(got.Stdout), &reports))
	return reports
}

// TestModelCommands lists, shows, promotes and rolls back without a daemon.
func TestModelCommands(t *testing.T) {
	state := t.TempDir()
	models := filepath.Join(state, modelsDir)
	tell := func(want result, args ...string) {
		t.Helper()
		if diff := cmp.Diff(want, run(t, append(append([]string{"model"}, args...), "--state", state)...)); diff != "" {
			t.Errorf("model %v (-want +got):\n%s", args, diff)
		}
	}
	refused := func(line string) result { return result{ExitFailed, "", "pacgan-appliance: " + line + "\n"} }
	tell(result{ExitDone, "no models yet\n", ""}, "list")
	tell(result{ExitDone, "[]\n", ""}, "list", "--json")
	tell(refused(`no model "current" in `+models+`: see pacgan-appliance model list`), "show", "current")
	tell(refused("models in "+models+`: no model is promoted: train one with "pacgan-appliance train"`), "rollback")

	ids := mustModels(t, state, 2)
	must(t, writeOrigin(filepath.Join(models, ids[1]), &shelf.Manifest{Member: "big", Gateway: "lab-b", Work: "7f", SHA256: "ab"}))
	tell(refused(`no model "x" in `+models+`: see pacgan-appliance model list`), "promote", "x")
	tell(result{ExitDone, "promoted " + ids[0] + ": the daemon takes it up when it starts\n", ""}, "promote", ids[0])
	tell(refused("models in "+models+": no model was promoted before the current one"), "rollback")
	tell(result{ExitDone, "promoted " + ids[1] + ": the daemon takes it up when it starts\n", ""}, "promote", ids[1])
	tell(result{ExitDone, "model " + ids[1] + " is in use already\n", ""}, "promote", ids[1])
	tell(result{ExitDone, "promoted " + ids[0] + ": the daemon takes it up when it starts\n", ""}, "rollback")

	got := mustList(t, state)
	if len(got) != 2 || got[0].ID != ids[0] || !got[0].Current || got[1].Current {
		t.Fatalf("models: %+v", got)
	}
	if j := got[1].Manifest.Judgement; j == nil || j.State != model.StateAside || j.Reason != "rolled back by request" {
		t.Errorf("judgement of the one rolled back: %+v", j)
	}
	if diff := cmp.Diff(&Origin{Trainer: "big", Gateway: "lab-b", Work: "7f", SHA256: "ab"}, got[1].Origin); diff != "" || got[0].Origin != nil {
		t.Errorf("origin %+v; of the other (-want +got):\n%s", got[0].Origin, diff)
	}
	wantTable := `^ +model +origin +recipe .*\n +` + ids[0] + ` +\* +here +tree +0 +0 +1.5 +- +promoted +promoted by request *\n +` + ids[1] + ` +big for lab-b +tree .* aside +rolled back by request *\n$`
	if table := run(t, "model", "list", "--state", state).Stdout; !regexp.MustCompile(wantTable).MatchString(table) {
		t.Errorf("the list does not look as it should:\n%s", table)
	}
	wantShow := `^model ` + ids[0] + `, in use\ntrained here\nrecipe tree, of 2026-01-02 03:04:05 UTC, by version v1, seed 7\npromoted on .*: promoted by request\n` +
		`step 0 of 0, trained in 1.5 s\n +label .*\n +dns +1,200 .*\n$`
	if shown := run(t, "model", "show", "current", "--state", state).Stdout; !regexp.MustCompile(wantShow).MatchString(shown) {
		t.Errorf("what is shown does not look as it should:\n%s", shown)
	}
	if shown := run(t, "model", "show", ids[1], "--state", state).Stdout; !strings.Contains(shown, "\ntrained by big, a trainer of the fleet's, for gateway lab-b (work 7f)\n") {
		t.Errorf("the origin is not shown:\n%s", shown)
	}
	must(t, os.WriteFile(filepath.Join(models, ids[1], originFile), []byte("{"), 0o640))
	if got := mustList(t, state)[1]; got.Manifest != nil || !strings.Contains(got.Error, originFile) {
		t.Errorf("a damaged origin: %+v", got)
	}
}

// TestModelCommandsOfADaemon change what a running daemon injects from at once.
func TestModelCommandsOfADaemon(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	known := map[string]bool{}
	d.train(t)
	first := d.judged(t, known)
	d.mustDo(t, "training with recipe tree", "train", "now")
	second := d.judged(t, known)
	wantJudgement(t, second, model.StatePromoted, `^not worse than the current model; `)
	eventually(t, "the second model is not in use", func() bool { return d.status(t).Model.ID == second.ID })
	state := d.cfg.State.Dir
	shown := run(t, "model", "show", "current", "--state", state)
	if !regexp.MustCompile(`(?s)^model ` + second.ID + `, in use\n.*\ntried on .*\n +ping +[0-9.]+ % of 200 .*`).MatchString(shown.Stdout) {
		t.Errorf("show: %+v", shown)
	}
	tests := []struct {
		args  []string
		want  result
		inUse string
	}{
		{[]string{"rollback"}, result{ExitDone, "back to " + first.ID + "; " + second.ID + " is kept aside\n", ""}, first.ID},
		{[]string{"promote", second.ID}, result{ExitDone, "promoted " + second.ID + "\n", ""}, second.ID},
		{[]string{"promote", second.ID}, result{ExitDone, "model " + second.ID + " is in use already\n", ""}, second.ID},
		{[]string{"promote", "x"}, result{ExitFailed, "", `pacgan-appliance: promote: no model "x" in ` + filepath.Join(state, modelsDir) + ": see pacgan-appliance model list\n"}, second.ID},
	}
	for _, tt := range tests {
		got := run(t, append(append([]string{"model"}, tt.args...), "--state", state)...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("model %v (-want +got):\n%s", tt.args, diff)
		}
		if id := d.status(t).Model.ID; id != tt.inUse {
			t.Errorf("model %v: %s is in use, want %s", tt.args, id, tt.inUse)
		}
		for _, r := range mustList(t, state) {
			if r.Current != (r.ID == tt.inUse) {
				t.Errorf("model %v: model %s is current: %v", tt.args, r.ID, r.Current)
			}
		}
	}
	before := d.status(t).All.Answered
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > before+100 })
}
