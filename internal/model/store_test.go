package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// testManifest is what a caller of Save fills in.
func testManifest() Manifest {
	return Manifest{
		Seed: 1<<64 - 1, ConfigHash: "c0ffee", DataHash: "da7a", Software: "v1.2.3",
		Quality: json.RawMessage(`{"ping":{"byte_error":0.5}}`),
		Created: time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("CET", 3600)),
	}
}

func TestSaveAndLoad(t *testing.T) {
	for _, recipe := range []Recipe{RecipeTree, RecipeGAN, RecipePaper} {
		t.Run(string(recipe), func(t *testing.T) {
			models := filepath.Join(t.TempDir(), "models")
			want := mustModel(t, recipe)
			id, err := Save(models, want, testManifest())
			if err != nil {
				t.Fatal(err)
			}
			got, man, err := Load(filepath.Join(models, id))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("model (-want +got):\n%s", diff)
			}
			if wantID := "20260304T040607Z-" + man.GeneratorSHA256[:8]; id != wantID {
				t.Errorf("id %s, want %s", id, wantID)
			}
			wantMan := testManifest()
			wantMan.describe(want, man.GeneratorSHA256)
			if diff := cmp.Diff(wantMan, *man, cmp.Comparer(equalJSON)); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(packets(t, mustSampler(t, want, "dns", 1), 100), packets(t, mustSampler(t, got, "dns", 1), 100)); diff != "" {
				t.Errorf("packets (-saved +loaded):\n%s", diff)
			}
			if diff := cmp.Diff([]string{id}, names(t, models)); diff != "" {
				t.Errorf("models directory (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSaveIsReproducible: the same model gives the same bytes, so the same hash.
func TestSaveIsReproducible(t *testing.T) {
	dir, m := t.TempDir(), mustModel(t, RecipeGAN)
	a, errA := Save(filepath.Join(dir, "a"), m, testManifest())
	b, errB := Save(filepath.Join(dir, "b"), m, testManifest())
	if a != b || errA != nil || errB != nil {
		t.Errorf("ids %s (%v) and %s (%v)", a, errA, b, errB)
	}
}

func TestSaveAs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "mine")
	if err := SaveAs(dir+"/", mustModel(t, RecipeTree), testManifest()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir); err != nil {
		t.Error(err)
	}
	err := SaveAs(dir, mustModel(t, RecipeTree), testManifest())
	want := "save model " + dir + ": " + dir + ": file already exists and is not empty: choose another directory"
	if err == nil || err.Error() != want || !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %q", err, want)
	}
	if diff := cmp.Diff([]string{"mine"}, names(t, filepath.Dir(dir))); diff != "" {
		t.Errorf("a refused save leaves something behind (-want +got):\n%s", diff)
	}
}

func TestSaveRefusesAnInvalidModel(t *testing.T) {
	models, m := t.TempDir(), mustModel(t, RecipeTree)
	m.Labels = nil
	_, err := Save(models, m, testManifest())
	if want := "save model in " + models + ": 0 labels: must be 1 to 1024"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	man := testManifest()
	man.Quality = json.RawMessage("{")
	if id, err := Save(models, mustModel(t, RecipeTree), man); err == nil {
		t.Errorf("saved %s with a quality report that is no JSON", id)
	}
	if left := names(t, models); len(left) > 0 {
		t.Errorf("a refused save leaves %q behind", left)
	}
}

// TestLoadErrors damages a saved model in one way after the other.
func TestLoadErrors(t *testing.T) {
	advice := `: promote another model or retrain with "pacgan-appliance train"`
	manifest := func(old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { replaceInFile(t, filepath.Join(dir, manifestFile), old, new) }
	}
	generator := func(old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { replaceInFile(t, filepath.Join(dir, generatorFile), old, new) }
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string // after "model DIR: "
	}{
		{"another format", manifest(`"format_version": 3`, `"format_version": 4`),
			`format 4, this program reads format 3: retrain with "pacgan-appliance train" or install the version that wrote it`},
		{"no format", manifest(`"format_version"`, `"formatversion_"`),
			`format 0, this program reads format 3: retrain with "pacgan-appliance train" or install the version that wrote it`},
		{"no JSON", manifest("{", ""), "manifest.json: invalid character ':' after top-level value"},
		{"a field of another type", manifest(`"labels": [`, `"labels": 1, "x": [`),
			"manifest.json: json: cannot unmarshal number into Go struct field Manifest.labels of type []string"},
		{"a label too many", manifest(`"dns"`, `"dns", "http"`), `generator.safetensors: tensor "forest.2.shapes" is missing` + advice},
		{"a label too few", manifest(`"ping",`, ``), `generator.safetensors: tensor "forest.1.` /* any of them */},
		{"another recipe", manifest(`"recipe": "tree"`, `"recipe": "paper"`), `generator.safetensors: recipe "paper" without a network` + advice},
		{"another hash", manifest(`"generator_sha256": "`, `"generator_sha256": "0000`), "generator.safetensors: its SHA-256 is "},
		{"another magic", generator("pacgan-appliance generator", "pacgan-appliance gemerator"),
			`generator.safetensors: format "pacgan-appliance gemerator" version "3", not "pacgan-appliance generator" version 3` + advice},
		{"another type", generator(`"dtype":"U16"`, `"dtype":"F16"`), `generator.safetensors: tensor type "F16": must be F32, I32, U32, U16 or U8` + advice},
		{"a tensor renamed", generator("forest.1.order", "forest.1.orden"), `generator.safetensors: tensor "forest.1.order" is missing` + advice},
		{"a tensor of another type", generator(`"dtype":"U32"`, `"dtype":"I32"`), `generator.safetensors: tensor "forest.0.count" is I32, not U32` + advice},
		{"no generator", func(t *testing.T, dir string) { mustDo(t, os.Remove(filepath.Join(dir, generatorFile))) }, "generator.safetensors: open "},
		{"no manifest", func(t *testing.T, dir string) { mustDo(t, os.Remove(filepath.Join(dir, manifestFile))) }, "open "},
		{"an endless manifest", func(t *testing.T, dir string) {
			mustDo(t, os.Truncate(filepath.Join(dir, manifestFile), maxManifest+1))
		},
			"manifest.json has more than 16777216 bytes"},
		{"an empty generator", func(t *testing.T, dir string) { mustDo(t, os.Truncate(filepath.Join(dir, generatorFile), 0)) },
			"generator.safetensors: header length: EOF" + advice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "m")
			mustDo(t, SaveAs(dir, mustModel(t, RecipeTree), testManifest()))
			tt.damage(t, dir)
			_, _, err := Load(dir)
			if err == nil {
				t.Fatalf("no error, want %q", tt.want)
			}
			got := err.Error()
			if strings.HasSuffix(tt.want, " ") || strings.HasSuffix(tt.want, ".") { // the rest varies
				got = got[:min(len(got), len("model ")+len(dir)+len(": ")+len(tt.want))]
			}
			if diff := cmp.Diff("model "+dir+": "+tt.want, got); diff != "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDamageIsNoticed flips bytes of a saved generator all over it, and cuts it there.
func TestDamageIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	mustDo(t, SaveAs(dir, mustModel(t, RecipeTree), testManifest()))
	path := filepath.Join(dir, generatorFile)
	whole, err := os.ReadFile(path)
	mustDo(t, err)
	for i := 0; i < len(whole); i += 1 + i/8 {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x40
		mustDo(t, os.WriteFile(path, damaged, fileMode))
		if _, _, err := Load(dir); err == nil {
			t.Errorf("byte %d of %d flipped: no error", i, len(whole))
		}
		mustDo(t, os.WriteFile(path, whole[:i], fileMode))
		if _, _, err := Load(dir); err == nil {
			t.Errorf("cut to %d bytes of %d: no error", i, len(whole))
		}
	}
	mustDo(t, os.WriteFile(path, append(whole, 0), fileMode))
	if _, _, err := Load(dir); err == nil {
		t.Error("a byte more: no error")
	}
}

func equalJSON(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b) // absent
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// replaceInFile replaces the first old by new, and fails if there is none.
func replaceInFile(tb testing.TB, path, old, new string) {
	tb.Helper()
	data, err := os.ReadFile(path)
	mustDo(tb, err)
	if !bytes.Contains(data, []byte(old)) {
		tb.Fatalf("%s holds no %q", path, old)
	}
	mustDo(tb, os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(new), 1), fileMode))
}

// names lists a directory.
func names(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	mustDo(tb, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mustDo(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
