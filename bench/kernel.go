package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// kernelName is the measurement of the programs in the kernel, and of memory.
const kernelName = "kernel"

// kernelFigure is a benchmark of go test whose worst line is a figure.
type kernelFigure struct {
	figure
	dir, bench string
	metric     string // of its lines
	times      string // -benchtime
}

// kernelFigures are those there are.
func kernelFigures() []kernelFigure {
	const verify, inject = "./internal/verify", "./internal/inject"
	ns := func(name string, limit float64, dir, bench, times string) kernelFigure {
		return kernelFigure{figure{Name: name, Limit: limit, Unit: "ns a frame"}, dir, bench, "ns/frame", times}
	}
	return []kernelFigure{
		ns("match-miss", 70, verify, "^BenchmarkMatch$/^miss-", "50x"),
		ns("match-hit-event", 220, verify, "^BenchmarkMatch$/^hit-tcp-event$", "50x"),
		ns("guard-insert", 240, inject, "^BenchmarkGuardInsert$", "5x"),
		ns("guard-insert-floor", 240, inject, "^BenchmarkInsertFloor$", "5x"), // the kernel's part of it
		{figure{Name: "memory-100000-pending", Limit: 150, Unit: "MiB, the kernel's in it"}, inject, "^BenchmarkMemory$", "MiB", "1x"},
	}
}

// kernel measures them all.
func kernel() ([]figure, error) {
	var all []figure
	for _, k := range kernelFigures() {
		load, err := loadAverage()
		if err != nil {
			return nil, err
		}
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", k.bench, "-benchtime", k.times, k.dir)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "PACGAN_REQUIRE_ROOT=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
		f := k.figure
		if f.Value, err = worst(string(out), k.metric); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		f.Load, f.Date = load, time.Now().UTC().Format(time.DateOnly)
		all = append(all, f)
	}
	return all, nil
}

// worst is the largest value of a metric in what go test printed.
func worst(out, metric string) (float64, error) {
	most := -1.0
	for _, found := range regexp.MustCompile(`(?m)^Benchmark.*\s([0-9.e+]+) `+regexp.QuoteMeta(metric)+`(?:\s|$)`).FindAllStringSubmatch(out, -1) {
		value, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", found[0], err)
		}
		most = max(most, value)
	}
	if most < 0 {
		return 0, fmt.Errorf("go test printed no %s:\n%s", metric, out)
	}
	return most, nil
}
