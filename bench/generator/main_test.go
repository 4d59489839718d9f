package main

import (
	"bytes"
	"strings"
	"testing"

	"pacgan-appliance/internal/model"
)

// TestTable trains both recipes on few packets, and reads a line for each label and model.
func TestTable(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	var out bytes.Buffer
	o := options{
		set: "shifting", labels: []string{"http"}, packets: 60, heldOut: 60, generated: 60,
		recipe: model.RecipeGAN, steps: 1, threads: 1, seed: 1,
	}
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 2 {
			lines[f[0]+" "+f[1]]++
		}
	}
	for _, want := range []string{"http tree", "http step0"} {
		if lines[want] != 1 {
			t.Errorf("%d lines of %s in:\n%s", lines[want], want, &out)
		}
	}
}

func TestUnknownSet(t *testing.T) {
	err := run(t.Context(), options{set: "wide"}, &bytes.Buffer{})
	if err == nil || !strings.HasPrefix(err.Error(), `set "wide": must be one of`) {
		t.Errorf("error %v", err)
	}
}
