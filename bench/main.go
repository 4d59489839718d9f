// Command bench measures our code and what one would use in its place, both
// in the same run, and prints one line for each pair:
//
//	bench NAME ours=X theirs=Y ratio=Z unit=U
//
// The ratio is above 1 where ours is the faster. Rates are in seconds of processor time, of which other programs take
// nothing, but where two cores are compared with one. Of a daemon that only injects 50
// packets a second it measures what it takes, and of generated traffic how far it
// is from real traffic to Suricata, tshark and nDPI, beside what was promised:
//
//	bench NAME value=X limit=Y unit=U
//
// That needs root. It writes the same to bench/results.json. Absolute figures
// are this machine's, in the state it was in; the ratio is what carries over.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// rounds is how often each side runs, in turns; the median counts.
const rounds = 5

// pair is one benchmark: two ways of doing the same work.
type pair struct {
	name   string
	unit   string
	theirs string // what theirs is
	work   float64
	wall   bool // measured by the clock on the wall
	// prepare returns the two sides; each does the work once.
	prepare func() (ours, theirs func() error, err error)
}

// result is one line of results.json. Ours and Theirs are in Unit, a rate:
// more is faster.
type result struct {
	Name   string  `json:"name"`
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"`
	Unit   string  `json:"unit"`
	Versus string  `json:"versus"`
	Date   string  `json:"date"` // of its measurement
	// Load is the machine's mean of runnable threads in the minute before it was measured: above 1, others took part of
	// the processors' time. 0: not noted.
	Load float64 `json:"load,omitempty"`
}

type results struct {
	Machine string   `json:"machine"`
	Go      string   `json:"go"`
	Bench   []result `json:"bench"`
	Figures []figure `json:"figures"`
}

func main() {
	only := flag.String("only", "", "run the benchmark of this name alone")
	out := flag.String("out", "bench/results.json", "`file` to write the results to")
	flag.Parse()
	runtime.GOMAXPROCS(1) // both sides of a pair on one core
	if err := run(*only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only, out string) error {
	all := results{
		Machine: machine(),
		Go:      runtime.Version() + " " + runtime.GOARCH,
	}
	for _, b := range benchmarks() {
		if only != "" && b.name != only {
			continue
		}
		busy, err := load()
		if err != nil {
			return err
		}
		r, err := b.run()
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		fmt.Printf("bench %s ours=%.4g theirs=%.4g ratio=%.2f unit=%s\n", r.Name, r.Ours, r.Theirs, r.Ratio, r.Unit)
		r.Date, r.Load = time.Now().UTC().Format(time.DateOnly), busy
		all.Bench = append(all.Bench, r)
	}
	for _, m := range measurements() {
		if only != "" && m.name != only {
			continue
		}
		figures, err := m.run()
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, f := range figures {
			fmt.Printf("bench %s value=%.4g limit=%.4g unit=%q load=%.3g\n", f.Name, f.Value, f.Limit, f.Unit, f.Load)
		}
		all.Figures = append(all.Figures, figures...)
	}
	if len(all.Bench)+len(all.Figures) == 0 {
		return fmt.Errorf("no benchmark is named %q", only)
	}
	if only != "" {
		return nil // the file holds whole runs
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

// benchmark is what main runs: a pair, or one of the wire.
type benchmark struct {
	name string
	run  func() (result, error)
}

// measurement is one of figures that have only a limit beside them.
type measurement struct {
	name string
	run  func() ([]figure, error)
}

func measurements() []measurement {
	return []measurement{{idleName, idle}, {"likeness", likeness}, {kernelName, kernel}}
}

func benchmarks() []benchmark {
	var all []benchmark
	for _, p := range pairs() {
		all = append(all, benchmark{p.name, p.run})
	}
	for _, w := range wireBenchmarks() {
		all = append(all, benchmark{w.name, w.run})
	}
	return all
}

// run measures both sides in turns, so that a busy moment hits both.
func (p pair) run() (result, error) {
	ours, theirs, err := p.prepare()
	if err != nil {
		return result{}, err
	}
	clock := cpuTime
	if p.wall {
		clock = wallTime
	}
	var rates [2][]float64
	for range rounds {
		for side, f := range []func() error{ours, theirs} {
			seconds, err := secondsEach(clock, f)
			if err != nil {
				return result{}, err
			}
			rates[side] = append(rates[side], p.work/seconds)
		}
	}
	a, b := median(rates[0]), median(rates[1])
	return result{Name: p.name, Ours: a, Theirs: b, Ratio: a / b, Unit: p.unit, Versus: p.theirs}, nil
}

// secondsEach repeats f for at least a fifth of a second by the clock.
func secondsEach(clock func() (time.Duration, error), f func() error) (float64, error) {
	const enough = 200 * time.Millisecond
	for n := 1; ; n *= 2 {
		start, err := clock()
		if err != nil {
			return 0, err
		}
		for range n {
			if err := f(); err != nil {
				return 0, err
			}
		}
		end, err := clock()
		if err != nil {
			return 0, err
		}
		if elapsed := end - start; elapsed >= enough {
			return elapsed.Seconds() / float64(n), nil
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// load is the first figure of /proc/loadavg.
func load() (mean float64, err error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(b), &mean)
	}
	return mean, err
}

// machine names the processor, or the architecture where it has no name.
func machine() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return fmt.Sprintf("%s, %d cores", modelName(string(b)), runtime.NumCPU())
}
