package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// wireBenchmark is one that needs root, network namespaces and somebody else's
// program: a sub-benchmark of a package's BenchmarkVersus, which has its other
// side as its last part.
type wireBenchmark struct {
	name   string
	tool   string // the program on the other side
	theirs string // what it is made to do
	dir    string // the package
	bench  string // the benchmark
	unit   string // of CPU time, softirqs in it, on both sides
}

// wireBenchmarks are those there are.
func wireBenchmarks() []wireBenchmark {
	const (
		replay   = "tcpreplay --topspeed --preload-pcap: no guard, no verification"
		generate = "trafgen --cpus 1"
	)
	all := []wireBenchmark{
		{name: "inject-xdp", tool: "tcpreplay", theirs: replay},
		{name: "inject-sendmmsg", tool: "tcpreplay", theirs: replay},
		{name: "inject-unasked-xdp", tool: "trafgen", theirs: generate},
		{name: "inject-unasked-sendmmsg", tool: "trafgen", theirs: generate},
		{name: "http", tool: "wrk", theirs: "wrk, 1 thread, Connection: close", bench: "VersusHTTP", unit: "flows/CPU-s"},
		{name: "capture", tool: "tcpdump", theirs: "tcpdump -w, same filter, 300,000 packets/s offered", dir: "./internal/capture"},
	}
	for i := range all {
		w := &all[i]
		w.dir = cmp.Or(w.dir, "./internal/inject")
		w.bench = "Benchmark" + cmp.Or(w.bench, "Versus")
		w.unit = cmp.Or(w.unit, "packets/CPU-s")
	}
	return all
}

// run has go test measure both sides in turns, as many rounds as the others'.
func (w wireBenchmark) run() (result, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", fmt.Sprintf("^%s$/^%s$/^%s$", w.bench, w.name, w.tool),
		"-benchtime", fmt.Sprintf("%dx", rounds), w.dir)
	cmd.Env = append(os.Environ(), "PACGAN_REQUIRE_ROOT=1") // a benchmark that skips has no figures
	out, err := cmd.CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	ours, theirs, err := w.parse(string(out))
	if err != nil {
		return result{}, err
	}
	return result{Name: w.name, Ours: ours, Theirs: theirs, Ratio: ours / theirs, Unit: w.unit, Versus: w.theirs}, nil
}

// parse finds the two medians in what go test printed.
func (w wireBenchmark) parse(out string) (ours, theirs float64, err error) {
	line := regexp.MustCompile(`(?m)^` + w.bench + `/` + w.name + `/` + w.tool + `(?:-[0-9]+)?\s.*$`).FindString(out)
	figures := map[string]float64{}
	fields := strings.Fields(line)
	for i := 2; i+1 < len(fields); i += 2 { // name, rounds, then figures with their units
		if figures[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
			return 0, 0, fmt.Errorf("%q: %w", line, err)
		}
	}
	ours, theirs = figures["ours"], figures["theirs"]
	if ours <= 0 || theirs <= 0 {
		return 0, 0, fmt.Errorf("go test printed no figures of both sides:\n%s", out)
	}
	return ours, theirs, nil
}
