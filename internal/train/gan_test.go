package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pacgan-appliance/internal/model"
)

// skewed returns n packets of 28 bytes like pings of a quiet network: most go to one of few hosts, and most fields have a
// usual value, so that what is possible says little about what is likely.
func skewed(rng *rand.Rand, n int) [][]byte {
	usually := func(likely, other byte) byte {
		if rng.IntN(10) == 0 {
			return other
		}
		return likely
	}
	packets := make([][]byte, n)
	for i := range packets {
		host := usually(1, byte(2+rng.IntN(6)))
		packets[i] = []byte{
			0x45, 0, 0, 28, byte(rng.IntN(256)), byte(rng.IntN(256)), usually(0x40, 0), 0, usually(64, 128), 1, 0, 0,
			10, 0, 0, 10 + host, 10, 0, 1, 100 + host, 8, 0, 0, 0, 0x12, host, 0, usually(1, byte(rng.IntN(16))),
		}
	}
	return packets
}

// TestAdversarialTrainingLearns: from a prior that knows only what is possible, the critic must teach the generator
// what is likely. The chosen model is judged on packets that training has not seen, with other noise.
func TestAdversarialTrainingLearns(t *testing.T) {
	skipInShort(t)
	rng := rand.New(rand.NewPCG(1, 1))
	opts := Options{Prior: model.PriorUniform, Seed: 1, Steps: 120, Batch: 32, Threads: 2}
	data := Data{{"ping", skewed(rng, 500)}}
	r := mustTrain(t, data, opts)
	fresh := newJudge([][][]byte{skewed(rng, 2000)}, 2)
	before, after := fresh.distance(0, samplePackets(t, r.Step0, "ping", 2000)), fresh.distance(0, samplePackets(t, r.Model, "ping", 2000))
	t.Logf("distance before training %.4f, after %.4f (step %d); %.1f s, %.1f s of CPU", before, after, r.Chosen, r.WallSeconds, r.CPUSeconds)
	if after > 0.9*before {
		t.Errorf("distance before training %.4f, after %.4f: want at most 0.9 of it", before, after)
	}

	// What was chosen was judged by as many drawings as step 0.
	split, err := newSplit(data, opts.Seed)
	if err != nil {
		t.Fatal(err)
	}
	var again Checkpoint
	if _, err := newRun(data, split, opts).assess(r.Model, &again, firstDrawings); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(r.Curve, func(c Checkpoint) bool { return c.Step == r.Chosen })
	if r.Curve[at].Distance != again.Distance {
		t.Errorf("step %d was chosen for a distance of %v, which is %v over %d drawings", r.Chosen, r.Curve[at].Distance, again.Distance, firstDrawings)
	}
}

// TestNeverWorseThanStep0: whatever training does, the chosen checkpoint is no worse than step 0.
func TestNeverWorseThanStep0(t *testing.T) {
	skipInShort(t)
	for _, prior := range []model.Prior{model.PriorFrequency, model.PriorUniform} {
		r := mustTrain(t, lanData(1, 60), Options{Prior: prior, Seed: 1, Steps: 6, Batch: 8, CheckpointEvery: 2})
		at := slices.IndexFunc(r.Curve, func(c Checkpoint) bool { return c.Step == r.Chosen })
		if at < 0 || r.Curve[0].Step != 0 || r.Curve[at].Distance > r.Curve[0].Distance {
			t.Errorf("prior %s: step %d chosen of %+v", prior, r.Chosen, r.Curve)
		}
	}
}

func samplePackets(tb testing.TB, m *model.Model, label string, n int) [][]byte {
	tb.Helper()
	s, err := m.NewSampler(label, 77)
	if err != nil {
		tb.Fatal(err)
	}
	packets := make([][]byte, n)
	for i := range packets {
		if packets[i], err = s.Next(nil); err != nil {
			tb.Fatal(err)
		}
	}
	return packets
}

func BenchmarkGANStep(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(map[int]string{1: "threads=1", 2: "threads=2"}[threads], func(b *testing.B) {
			benchmarkStep(b, newGAN, Options{Recipe: model.RecipeGAN, Threads: threads})
		})
	}
}

func BenchmarkPaperStep(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(map[int]string{1: "threads=1", 2: "threads=2"}[threads], func(b *testing.B) {
			benchmarkStep(b, newPaper, Options{Recipe: model.RecipePaper, Threads: threads})
		})
	}
}

func benchmarkStep(b *testing.B, build builder, opts Options) {
	opts, err := opts.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	s, err := newSplit(lanData(1, 500), 1)
	if err != nil {
		b.Fatal(err)
	}
	r, err := build(b.Context(), s, opts)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	step := 0
	for b.Loop() {
		step++
		c, g, err := r.step(b.Context(), step)
		if err != nil {
			b.Fatal(err)
		}
		if !finite(c) || !finite(g) {
			b.Fatalf("step %d: losses %v and %v", step, c, g)
		}
	}
}

// TestOnlyWhatIsBetterIsChosen: a checkpoint must beat step 0 by more than drawings differ, and nothing beats a step 0
// that is as near as real packets.
func TestOnlyWhatIsBetterIsChosen(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		step0, spread, floor float64
		want                 float64
	}{
		{"room to learn", 0.5, 0.01, 0.2, 0.48},
		{"as near as real packets", 0.19, 0.01, 0.2, 0},
		{"as near but for chance", 0.22, 0.01, 0.2, 0},
		{"just further", 0.23, 0.01, 0.2, 0.21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := toBeat(tt.step0, tt.spread, tt.floor); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("to beat %v, want %v", got, tt.want)
			}
		})
	}
}
