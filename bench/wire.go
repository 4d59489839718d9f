package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// wireBenchmark is one that needs root, network namespaces and somebody else's
// program: a sub-benchmark of internal/inject's BenchmarkVersus, which has its
// other side as its last part.
type wireBenchmark struct {
	name   string
	tool   string // the program on the other side
	theirs string // what it is made to do
}

const wireUnit = "packets/CPU-s" // softirqs are in the CPU's time, on both sides

// wireBenchmarks are those there are.
func wireBenchmarks() []wireBenchmark {
	const (
		replay   = "tcpreplay --topspeed --preload-pcap: no guard, no verification"
		generate = "trafgen --cpus 1"
	)
	return []wireBenchmark{
		{"inject-xdp", "tcpreplay", replay},
		{"inject-sendmmsg", "tcpreplay", replay},
		{"inject-unasked-xdp", "trafgen", generate},
		{"inject-unasked-sendmmsg", "trafgen", generate},
	}
}

// run has go test measure both sides in turns, as many rounds as the others'.
func (w wireBenchmark) run() (result, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", fmt.Sprintf("^BenchmarkVersus$/^%s$/^%s$", w.name, w.tool),
		"-benchtime", fmt.Sprintf("%dx", rounds), "./internal/inject")
	cmd.Env = append(os.Environ(), "PACGAN_REQUIRE_ROOT=1") // a benchmark that skips has no figures
	out, err := cmd.CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	ours, theirs, err := w.parse(string(out))
	if err != nil {
		return result{}, err
	}
	return result{Name: w.name, Ours: ours, Theirs: theirs, Ratio: ours / theirs, Unit: wireUnit, Versus: w.theirs}, nil
}

// parse finds the two medians in what go test printed.
func (w wireBenchmark) parse(out string) (ours, theirs float64, err error) {
	line := regexp.MustCompile(`(?m)^BenchmarkVersus/` + w.name + `/` + w.tool + `(?:-[0-9]+)?\s.*$`).FindString(out)
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
