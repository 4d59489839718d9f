package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/model"
)

// mustStop trains until steps are made and stops, with its state in dir.
func mustStop(t *testing.T, data Data, opts Options, dir string, steps int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts.CheckpointDir = dir
	opts.Progress = func(p Progress) {
		if p.Step == steps {
			cancel()
		}
	}
	if _, err := Train(ctx, data, opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("Train: %v, want it stopped", err)
	}
}

// TestResume: a training that was stopped after any step, the chosen model being of an earlier one or not, ends in the
// model that it would have ended in.
func TestResume(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts Options
	}{
		{"gan", Options{Recipe: model.RecipeGAN, Prior: model.PriorUniform, Seed: 3, Steps: 5, Batch: 4, CheckpointEvery: 2}},
		{"paper", Options{Recipe: model.RecipePaper, Seed: 3, Steps: 2, Batch: 2, CheckpointEvery: 1,
			Paper: PaperOptions{Noise: 16, Norm: NormNone, Average: 0.9, Falling: true, Best: true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			skipPaperInShort(t, tt.opts.Recipe)
			data := lanData(1, 40)[:2]
			want := mustTrain(t, data, tt.opts)
			for stop := 1; stop < tt.opts.Steps; stop++ {
				dir := t.TempDir()
				mustStop(t, data, tt.opts, dir, stop)
				saved, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(data, saved.Data); diff != "" || saved.Steps() != stop {
					t.Fatalf("%d steps, want %d; packets (-want +got):\n%s", saved.Steps(), stop, diff)
				}
				saved.Options.Threads = 2
				got, err := saved.Resume(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !sameModel(want.Model, got.Model) || !sameModel(want.Step0, got.Step0) {
					t.Errorf("stopped after step %d: another model", stop)
				}
				withoutTime := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seconds" }, cmp.Ignore())
				if diff := cmp.Diff(want.Curve, got.Curve, withoutTime); diff != "" || got.Chosen != want.Chosen {
					t.Errorf("chosen %d, want %d; curve (-want +got):\n%s", got.Chosen, want.Chosen, diff)
				}
				if diff := cmp.Diff(want.Losses, got.Losses); diff != "" {
					t.Errorf("losses (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestSavesByTheClock: the state is kept after each step where SaveEvery is over, and the directory holds it and the
// chosen model alone.
func TestSavesByTheClock(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Seed: 1, Steps: 4, Batch: 4, CheckpointEvery: 4, CheckpointDir: dir, SaveEvery: time.Nanosecond}
	var steps []int
	opts.Progress = func(p Progress) { // the state of the step before is there by now
		saved, err := Open(dir)
		if err != nil {
			t.Error(err)
			return
		}
		steps = append(steps, saved.Steps())
	}
	r := mustTrain(t, lanData(1, 40)[:1], opts)
	if diff := cmp.Diff([]int{0, 1, 2, 3}, steps); diff != "" {
		t.Errorf("saved steps (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{filepath.Base(chosenDir(dir, r.Chosen)), stateFile}, names); diff != "" {
		t.Errorf("checkpoint directory (-want +got):\n%s", diff)
	}
	_, err = Train(t.Context(), lanData(1, 40)[:1], opts)
	if want := "train gan: " + dir + " holds an unfinished training: file already exists: resume or remove it"; err == nil || err.Error() != want {
		t.Errorf("Train over it: %v\nwant %s", err, want)
	}
}

// savedBytes is the state of a small training, and the record in it.
func savedBytes(tb testing.TB) (file []byte, tensors []model.Tensor) {
	tb.Helper()
	data := lanData(1, 12)[:1]
	opts, err := Options{Seed: 1, Steps: 2, Batch: 2}.withDefaults()
	if err != nil {
		tb.Fatal(err)
	}
	encoded, err := json.Marshal(savedRecord{
		Options: opts, Labels: []string{"ping"}, Record: record{Steps: 1, Curve: []Checkpoint{{}}}, Counters: []int{1}, Source: []byte("pcg"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tensors = append(packetTensors(data), model.Tensor{Name: recordTensor, Shape: []int{len(encoded)}, Data: encoded},
		model.Tensor{Name: memoryPrefix + "w", Shape: []int{2}, Data: []float32{1, 2}})
	return stateOf(tb, tensors), tensors
}

func stateOf(tb testing.TB, tensors []model.Tensor) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := model.WriteTensors(&b, map[string]string{"format": stateFormat, "version": stateVersion}, tensors); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// changed is a state whose record has one text replaced by another.
func changed(tb testing.TB, tensors []model.Tensor, from, to string) []byte {
	tb.Helper()
	tensors = slices.Clone(tensors)
	for i, t := range tensors {
		if t.Name == recordTensor {
			text := strings.Replace(string(t.Data.([]uint8)), from, to, 1)
			if text == string(t.Data.([]uint8)) {
				tb.Fatalf("no %q in %s", from, text)
			}
			tensors[i] = model.Tensor{Name: t.Name, Shape: []int{len(text)}, Data: []byte(text)}
		}
	}
	return stateOf(tb, tensors)
}

func TestOpenErrors(t *testing.T) {
	whole, tensors := savedBytes(t)
	none := slices.DeleteFunc(slices.Clone(tensors), func(t model.Tensor) bool { return t.Name == recordTensor })
	unpacked := slices.DeleteFunc(slices.Clone(tensors), func(t model.Tensor) bool { return t.Name == "lengths.0" })
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "header length: EOF"},
		{"huge header", bytes.Repeat([]byte{255}, 16), "header of 18446744073709551615 bytes in a file of 16: at most 4194304 are read"},
		{"truncated", whole[:len(whole)-1], "tensors of "},
		{"no record", stateOf(t, none), `tensor "record" is missing`},
		{"no JSON", changed(t, tensors, "{", "["), "record: "},
		{"steps", changed(t, tensors, `"steps":1`, `"steps":3`), "record: step 3 of 2, chosen 0"},
		{"batch", changed(t, tensors, `"Batch":2`, `"Batch":1000000000`), "record: batch 1000000000: at most 4096"},
		{"recipe", changed(t, tensors, `"gan"`, `"tree"`), "record: recipe tree has no steps to resume"},
		{"no packets", stateOf(t, unpacked), `packets of label "ping": missing`},
		{"no model", whole, "model "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, stateFile), tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || !strings.HasPrefix(err.Error(), "saved training "+filepath.Join(dir, stateFile)+": "+tt.want) ||
				!strings.HasSuffix(err.Error(), ": remove "+dir+" and train anew") {
				t.Errorf("Open: %v\nwant   %s", err, tt.want)
			}
		})
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
}

// TestRestoreErrors: a memory takes all of what was saved, and numbers only.
func TestRestoreErrors(t *testing.T) {
	opts, err := Options{Seed: 1, Batch: 2}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSplit(lanData(1, 40)[:1], 1)
	if err != nil {
		t.Fatal(err)
	}
	built, err := newGAN(t.Context(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	g := built.(*gan)
	source, err := g.source.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	good := func() recalled {
		r := recalled{source: source, tensors: map[string]any{}}
		for _, c := range g.memory().counters {
			r.counters = append(r.counters, *c)
		}
		for _, tensor := range g.memory().tensors {
			r.tensors[tensor.Name] = slices.Clone(tensor.Data.([]float32))
		}
		return r
	}
	if err := g.memory().restore(good()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		damage func(*recalled)
		want   string
	}{
		{"counters", func(r *recalled) { r.counters = nil }, "0 counters, not 3"},
		{"negative", func(r *recalled) { r.counters[0] = -1 }, "counter 0 is -1"},
		{"missing", func(r *recalled) { delete(r.tensors, "generator.theta") }, `tensor "generator.theta" is missing, or not of `},
		{"short", func(r *recalled) { r.tensors["generator.theta"] = []float32{1} }, `tensor "generator.theta" is missing, or not of `},
		{"type", func(r *recalled) { r.tensors["generator.theta"] = []int32{1} }, `tensor "generator.theta" is missing, or not of `},
		{"NaN", func(r *recalled) { r.tensors["generator.theta"].([]float32)[0] = float32(math.NaN()) }, `tensor "generator.theta": a number is not finite`},
		{"random numbers", func(r *recalled) { r.source = []byte("x") }, "random numbers: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.damage(&r)
			if err := g.memory().restore(r); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("restore: %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzDecodeSaved: a state of any content gives an error or a training of packets that its options allow.
func FuzzDecodeSaved(f *testing.F) {
	whole, tensors := savedBytes(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(changed(f, tensors, `"Batch":2`, `"Batch":1000000000`)) // exhausts memory
	f.Add(changed(f, tensors, `"steps":1`, `"steps":3`))
	f.Add(bytes.Repeat([]byte{255}, 16)) // a huge header
	f.Fuzz(func(t *testing.T, file []byte) {
		defer bounded.Input(t, len(file))()
		s, err := decodeSaved(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		bytes := 0
		for _, set := range s.Data {
			for _, p := range set.Packets {
				bytes += len(p)
			}
		}
		if bytes > len(file) || s.Options.Batch > mostBatch || s.Steps() > s.Options.Steps && s.Options.Steps > 0 {
			t.Errorf("%d bytes of packets from a file of %d, %d steps of %+v", bytes, len(file), s.Steps(), s.Options)
		}
	})
}
