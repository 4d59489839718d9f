package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// likenessFigures are those of bench/likeness, over all that the observers said of all labels.
var likenessFigures = []figure{
	{Name: "likeness-difference", Unit: "% between replayed and generated, at most", Limit: 2},
	{Name: "likeness-faults", Unit: "of 1,000 generated, at most", Limit: 0},
}

// likeness has bench/likeness learn, record and compare, and prints its table.
func likeness() ([]figure, error) {
	load, err := loadAverage()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pacgan-likeness-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "table.json")
	cmd := exec.Command("go", "run", "./bench/likeness", "-state", filepath.Join(dir, "state"), "-json", file)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	failed := cmd.Run() // where something is too far apart, too: that is a figure
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%v: %w, and it wrote no table", cmd, failed)
	}
	return likenessOf(text, load, time.Now().UTC().Format(time.DateOnly))
}

// likenessOf finds the worst in bench/likeness's table.
func likenessOf(text []byte, load float64, date string) ([]figure, error) {
	var table []struct {
		Rates   []float64 // the last are those of generated packets
		Percent float64
		Fault   bool
	}
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, fmt.Errorf("table of likeness: %w", err)
	}
	var worst [2]float64
	for _, r := range table {
		worst[0] = max(worst[0], r.Percent)
		if r.Fault && len(r.Rates) > 0 {
			worst[1] = max(worst[1], r.Rates[len(r.Rates)-1])
		}
	}
	if len(table) == 0 {
		return nil, fmt.Errorf("table of likeness: no rows")
	}
	var all []figure
	for i, f := range likenessFigures {
		f.Value, f.Load, f.Date = worst[i], load, date
		all = append(all, f)
	}
	return all, nil
}
