package train

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/model"
)

// lanData is n packets of each label, as the tree tests make them.
func lanData(seed uint64, n int) Data {
	t := newTraffic(seed)
	return Data{{"ping", many(n, t.ping)}, {"dns", many(n, t.dns)}, {"http", many(n, t.get)}}
}

func mustTrain(t *testing.T, data Data, opts Options) *Result {
	t.Helper()
	r, err := Train(t.Context(), data, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sameModel compares byte for byte, weights without cmp, which takes minutes for the paper's 13 million.
func sameModel(a, b *model.Model) bool {
	return cmp.Equal(a.Forests, b.Forests, cmpopts.EquateEmpty()) && reflect.DeepEqual(a.Gate, b.Gate) && reflect.DeepEqual(a.Net, b.Net)
}

// skipPaperInShort: the paper's network is 13 million weights.
func skipPaperInShort(t *testing.T, recipe model.Recipe) {
	t.Helper()
	if recipe == model.RecipePaper {
		skipInShort(t)
	}
}

// skipInShort: tests with the race detector are short, and it slows graphs tenfold.
func skipInShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds of CPU, and ten times that with the race detector")
	}
}

func TestEveryRecipeTrains(t *testing.T) {
	const n = 60
	for _, recipe := range []model.Recipe{model.RecipeTree, model.RecipeGAN, model.RecipePaper} {
		t.Run(string(recipe), func(t *testing.T) {
			skipPaperInShort(t, recipe)
			steps := 0
			r := mustTrain(t, lanData(1, n), Options{
				Recipe: recipe, Seed: 1, Steps: 2, Batch: 8, CheckpointEvery: 1, CheckpointDir: t.TempDir(),
				Progress: func(p Progress) { steps = p.Step },
			})
			wantSteps := 2
			if recipe == model.RecipeTree {
				wantSteps = 0
			}
			if r.Steps != wantSteps || steps != wantSteps || len(r.Curve) != wantSteps+1 {
				t.Errorf("%d steps, %d reported, %d checkpoints, want %d, %[4]d, %[4]d+1", r.Steps, steps, len(r.Curve), wantSteps)
			}
			if err := r.Model.Validate(); err != nil {
				t.Error(err)
			}
			if r.Model.Recipe != recipe {
				t.Errorf("model of recipe %s, want %s", r.Model.Recipe, recipe)
			}
			if diff := cmp.Diff(map[string]int{"ping": n, "dns": n, "http": n}, r.Packets); diff != "" {
				t.Errorf("packets (-want +got):\n%s", diff)
			}
			for _, label := range r.Model.Labels {
				s, err := r.Model.NewSampler(label, 1)
				if err != nil {
					t.Fatal(err)
				}
				if p, err := s.Next(nil); err != nil || len(p) == 0 {
					t.Errorf("sample %s: %d bytes, %v", label, len(p), err)
				}
			}
		})
	}
}

// TestStep0LearnsAllPackets: a chosen step 0 is fitted to the validation packets too, but only after it was chosen by
// them.
func TestStep0LearnsAllPackets(t *testing.T) {
	const n, held = 60, 60 / validateShare
	for _, recipe := range []model.Recipe{model.RecipeTree, model.RecipeGAN} {
		t.Run(string(recipe), func(t *testing.T) {
			r := mustTrain(t, lanData(1, n), Options{Recipe: recipe, Seed: 1, Steps: 1, Batch: 4})
			if r.Chosen != 0 {
				t.Fatalf("step %d chosen: this test needs another seed", r.Chosen)
			}
			for _, tt := range []struct {
				name string
				m    *model.Model
				want uint32
			}{{"blind", r.Blind, n - held}, {"model", r.Model, n}, {"step 0", r.Step0, n}} {
				for i, f := range tt.m.Forests {
					var got uint32
					for _, shape := range f.Shapes {
						got += shape.Count
					}
					if got != tt.want {
						t.Errorf("%s, label %s: fitted to %d packets, want %d", tt.name, tt.m.Labels[i], got, tt.want)
					}
				}
				if err := tt.m.Validate(); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
		})
	}
}

func TestTrainIsReproducible(t *testing.T) {
	for recipe, steps := range map[model.Recipe]int{model.RecipeGAN: 3, model.RecipePaper: 1} {
		t.Run(string(recipe), func(t *testing.T) {
			skipPaperInShort(t, recipe)
			opts := Options{Recipe: recipe, Prior: model.PriorUniform, Seed: 7, Steps: steps, Batch: 4, CheckpointEvery: steps}
			one := mustTrain(t, lanData(1, 40)[:2], opts)
			opts.Threads = 2 // not even the number of threads matters
			if two := mustTrain(t, lanData(1, 40)[:2], opts); !sameModel(one.Model, two.Model) {
				t.Error("the same seed gave another model")
			}
			opts.Seed = 8
			if other := mustTrain(t, lanData(1, 40)[:2], opts); sameModel(one.Model, other.Model) {
				t.Error("another seed gave the same model")
			}
		})
	}
}

// TestCancel stops at a step of training's own choosing, from where its progress is reported.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	r, err := Train(ctx, lanData(1, 40)[:1], Options{
		Seed: 1, Steps: 1000, Batch: 8, CheckpointEvery: 1, CheckpointDir: dir,
		Progress: func(p Progress) {
			if p.Step == 2 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || err.Error() != "train gan: stopped at step 3: context canceled" {
		t.Errorf("Train: %v", err)
	}
	if r == nil || r.Steps != 2 || r.Model == nil || r.Model.Validate() != nil {
		t.Fatalf("result %+v, want 2 steps and a valid model", r)
	}
	m, _, err := model.Load(chosenDir(dir, r.Chosen))
	if err != nil {
		t.Fatal(err)
	}
	if !sameModel(m, r.Model) {
		t.Error("the model on disk is not the one returned")
	}
}

func TestCancelledBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Train(ctx, lanData(1, 40), Options{})
	if r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Train: %v, %v", r, err)
	}
}

// poisoned is a recipe whose weights turn to NaN at a step.
type poisoned struct {
	*gan
	at int
}

func (p poisoned) step(ctx context.Context, step int) (float32, float32, error) {
	if step == p.at {
		data(p.theta.value)[0] = float32(math.NaN())
		fill(data(p.generator.trained[0].value), float32(math.NaN()))
	}
	return p.gan.step(ctx, step)
}

func TestDivergenceStops(t *testing.T) {
	opts, err := Options{Seed: 1, Batch: 8, Steps: 10, CheckpointEvery: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	few := lanData(1, 40)[:1]
	s, err := newSplit(few, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(few, s, opts)
	err = r.adversarial(t.Context(), func(ctx context.Context, s *split, opts Options) (recipe, error) {
		g, err := newGAN(ctx, s, opts)
		if err != nil {
			return nil, err
		}
		return poisoned{g.(*gan), 3}, nil
	}, nil)
	if !errors.Is(err, ErrDiverged) {
		t.Fatalf("adversarial: %v, want %v", err, ErrDiverged)
	}
	result := r.finish()
	if result == nil || result.Steps != 2 || result.Model.Validate() != nil {
		t.Errorf("result %+v, want 2 steps and a valid model", result)
	}
}

func TestTrainErrors(t *testing.T) {
	good := lanData(1, 40)
	long := make([][]byte, 20)
	for i := range long {
		long[i] = make([]byte, 1<<16)
	}
	tests := []struct {
		name string
		data Data
		opts Options
		want string
	}{
		{"recipe", good, Options{Recipe: "vae"}, `train: recipe "vae": must be gan, paper or tree`},
		{"prior", good, Options{Prior: "flat"}, `train: prior "flat": must be frequency or uniform`},
		{"batch", good, Options{Batch: 1 << 20}, "train: batch 1048576: at most 4096"},
		{"paper", good, Options{Paper: PaperOptions{Noise: -1}}, "train: recipe paper: noise -1: must be 1 to 16384"},
		{"steps", good, Options{Steps: -1}, "train: steps -1, batch 0, checkpoint every 0: none may be negative"},
		{"no labels", nil, Options{}, "train: no labels"},
		{"twice", Data{good[0], good[0]}, Options{}, `train: label "ping" is given twice`},
		{"few", Data{{"ping", good[0].Packets[:9]}}, Options{}, `train: label "ping" has 9 packets: at least 10 are needed`},
		{"long", Data{{"ping", long}}, Options{}, "train: geometry for packets of 65536 bytes: must be 1 to 65535"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Train(t.Context(), tt.data, tt.opts); err == nil || err.Error() != tt.want {
				t.Errorf("Train: %v\nwant   %s", err, tt.want)
			}
		})
	}
}
