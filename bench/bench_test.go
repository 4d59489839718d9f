package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
			if errors.Is(err, errTorch) {
				t.Skip(err) // too large for what only make bench needs
			}
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
	if want := len(measured) + len(likenessFigures) + len(kernelFigures()); len(r.Figures) != want {
		t.Errorf("results.json has %d figures of %d: run make bench", len(r.Figures), want)
	}
}

func TestFiguresOf(t *testing.T) {
	const said = `{"Action":"output","Output":"=== ATTR idle_core 9"}
{"Action":"attr","Test":"TestIdleMemory","Key":"idle_core","Value":"0.81"}
{"Action":"attr","Test":"TestIdleMemory","Key":"other","Value":"x"}
`
	const memory = `{"Action":"attr","Test":"TestIdleMemory","Key":"idle_memory","Value":"70.5"}`
	got, err := figuresOf([]byte(said+memory), 2, "2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{Name: "idle-cpu", Value: 0.81, Limit: 1, Unit: "% of a core", Load: 2, Date: "2026-01-02"},
		{Name: "idle-memory", Value: 70.5, Limit: 80, Unit: "MiB", Load: 2, Date: "2026-01-02"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]string{"one is missing": said, "no number": said + strings.Replace(memory, "70.5", "much", 1), "no JSON": "ok"} {
		if got, err := figuresOf([]byte(bad), 0, ""); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLikenessOf(t *testing.T) {
	const table = `[{"rates":[1000,1000,990],"percent":1,"fault":false},
		{"rates":[0,3,0],"percent":0.3,"fault":true}, {"rates":[0,0,0.5],"percent":0.05,"fault":true}]`
	got, err := likenessOf([]byte(table), 2, "2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{Name: "likeness-difference", Value: 1, Limit: 2, Unit: "% between replayed and generated, at most", Load: 2, Date: "2026-01-02"},
		{Name: "likeness-faults", Value: 0.5, Limit: 0, Unit: "of 1,000 generated, at most", Load: 2, Date: "2026-01-02"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]string{"no rows": "[]", "no JSON": "ok"} {
		if got, err := likenessOf([]byte(bad), 0, ""); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWireFigures(t *testing.T) {
	w := wireBenchmark{name: "inject-xdp", tool: "tcpreplay", bench: "BenchmarkVersus"}
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

func TestWorst(t *testing.T) {
	const out = "BenchmarkMatch/miss-echo-2 \t 50\t 9 ns/op\t        61.00 ns/frame\nBenchmarkMatch/miss-dns-2 50 9 ns/op 1.2e+02 ns/frame\nBenchmarkMatch/x 5 200 ns/frames\n"
	if got, err := worst(out, "ns/frame"); err != nil || got != 120 {
		t.Errorf("worst is %v, %v", got, err)
	}
	if got, err := worst(out, "MiB"); err == nil {
		t.Errorf("of what is not there: %v", got)
	}
}
