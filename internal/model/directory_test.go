package model

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mustSaveAt saves a model that was made at the given hour.
func mustSaveAt(tb testing.TB, models string, hour int) (id string) {
	tb.Helper()
	man := testManifest()
	man.Created = time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC)
	id, err := Save(models, mustModel(tb, RecipeTree), man)
	mustDo(tb, err)
	return id
}

func TestPromote(t *testing.T) {
	models := t.TempDir()
	_, err := Current(models)
	want := "models in " + models + `: no model is promoted: train one with "pacgan-appliance train"`
	if err == nil || err.Error() != want || !errors.Is(err, ErrNoModel) {
		t.Errorf("error %v, want %q", err, want)
	}
	for _, id := range []string{mustSaveAt(t, models, 1), mustSaveAt(t, models, 2)} {
		mustDo(t, Promote(models, id))
		if got, err := Current(models); got != id || err != nil {
			t.Errorf("current is %q (%v), want %s", got, err, id)
		}
		if _, _, err := Load(filepath.Join(models, currentLink)); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, models); len(got) != 3 {
		t.Errorf("directory has %q: want two models and current", got)
	}
}

// TestPromoteRefuses: current stays what it was when a model is no good.
func TestPromoteRefuses(t *testing.T) {
	models := t.TempDir()
	good, bad := mustSaveAt(t, models, 1), mustSaveAt(t, models, 2)
	mustDo(t, Promote(models, good))
	mustDo(t, os.Truncate(filepath.Join(models, bad, generatorFile), 100))
	for _, id := range []string{bad, "missing", "", "..", "../elsewhere", currentLink} {
		if err := Promote(models, id); err == nil {
			t.Errorf("promoted %q", id)
		}
	}
	if got, err := Current(models); got != good || err != nil {
		t.Errorf("current is %q (%v), want %s", got, err, good)
	}
	want := `promote model: model ID "../x": must be the name of a directory, such as 20260102T150405Z-0123abcd`
	if err := Promote(models, "../x"); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestCurrentRefusesALinkElsewhere(t *testing.T) {
	models := t.TempDir()
	mustDo(t, os.Symlink("/etc", filepath.Join(models, currentLink)))
	if id, err := Current(models); err == nil {
		t.Errorf("current is %q", id)
	}
}

func TestListAndPrune(t *testing.T) {
	models := t.TempDir()
	var ids []string
	for hour := range 5 {
		ids = append(ids, mustSaveAt(t, models, hour))
	}
	mustDo(t, Promote(models, ids[0]))
	mustDo(t, os.Remove(filepath.Join(models, ids[3], manifestFile)))
	mustDo(t, os.Mkdir(filepath.Join(models, unfinished+"1"), 0o700)) // of a program that was killed
	mustDo(t, os.WriteFile(filepath.Join(models, "notes.txt"), nil, 0o600))

	entries, err := List(models)
	mustDo(t, err)
	for i, e := range entries {
		if broken := i == 3; e.ID != ids[i] || (e.Err != nil) != broken || (e.Manifest == nil) != broken {
			t.Errorf("entry %d is %s (%v), want %s", i, e.ID, e.Err, ids[i])
		}
	}
	removed, err := Prune(models, 2)
	mustDo(t, err)
	if diff := cmp.Diff(ids[1:3], removed); diff != "" {
		t.Errorf("removed, the current one is kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{ids[0], ids[3], ids[4], currentLink, "notes.txt"}, names(t, models)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if removed, err := Prune(models, 9); len(removed) > 0 || err != nil {
		t.Errorf("removed %q, %v", removed, err)
	}
}

func TestListOfNothing(t *testing.T) {
	entries, err := List(filepath.Join(t.TempDir(), "missing"))
	if len(entries) > 0 || err != nil {
		t.Errorf("entries %v, error %v", entries, err)
	}
}
