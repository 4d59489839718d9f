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
			if testing.Short() && p.name == "fit-trees" {
				t.Skip("makes 100,000 packets")
			}
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
	var want, got []string
	for _, b := range benchmarks() {
		want = append(want, b.name)
	}
	for _, b := range r.Bench {
		got = append(got, b.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("benchmarks of results.json (-want +got): run make bench\n%s", diff)
	}
}

func TestWireFigures(t *testing.T) {
	w := wireBenchmark{name: "inject-xdp", tool: "tcpreplay"}
	tests := []struct {
		name, out    string
		ours, theirs float64 // 0: an error
	}{
		{"both", "cpu: x\nBenchmarkVersus/inject-xdp/tcpreplay-2 \t 5\t 275078 ours\t 506228 theirs\nPASS\n", 275078, 506228},
		{"one processor, with ns/op", "BenchmarkVersus/inject-xdp/tcpreplay 5 10 ns/op 2.5e+05 ours 1 theirs\n", 250000, 1},
		{"skipped", "PASS\n", 0, 0},
		{"another's", "BenchmarkVersus/inject-xdp/trafgen-2 5 1 ours 2 theirs\n", 0, 0},
		{"one side", "BenchmarkVersus/inject-xdp/tcpreplay-2 5 1 ours\n", 0, 0},
		{"no number", "BenchmarkVersus/inject-xdp/tcpreplay-2 5 x ours 2 theirs\n", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs, err := w.parse(tt.out)
			if ours != tt.ours || theirs != tt.theirs || (err != nil) != (tt.ours == 0) {
				t.Errorf("ours %v, theirs %v, error %v", ours, theirs, err)
			}
		})
	}
}
