package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryPairRuns runs each benchmark once, as CI does, and asserts no
// speed: two shared cores prove none.
func TestEveryPairRuns(t *testing.T) {
	for _, p := range pairs() {
		t.Run(p.name, func(t *testing.T) {
			ours, theirs, err := p.prepare()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []func() error{ours, theirs} {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestUnknownName(t *testing.T) {
	err := run("nothing", filepath.Join(t.TempDir(), "results.json"))
	if err == nil || err.Error() != `no benchmark is named "nothing"` {
		t.Errorf("error %v", err)
	}
}

func TestModelName(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel name\t: An Example\nflags\t: a b\n"
	if diff := cmp.Diff("An Example", modelName(cpuinfo)); diff != "" {
		t.Errorf("name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("unnamed processor", modelName("")); diff != "" {
		t.Errorf("name (-want +got):\n%s", diff)
	}
}

// TestCommittedResults reads the results that are in the repository.
func TestCommittedResults(t *testing.T) {
	b, err := os.ReadFile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Bench) != len(pairs()) {
		t.Errorf("results.json has %d benchmarks of %d: run make bench", len(r.Bench), len(pairs()))
	}
}
