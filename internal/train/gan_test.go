package train

import (
	"testing"

	"pacgan-appliance/internal/model"
)

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
