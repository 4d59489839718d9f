package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/quality"
)

// TestTable pins a row of two seeds; nothing is made up for a seed that is not done.
func TestTable(t *testing.T) {
	o := options{dir: t.TempDir(), seeds: 3, scale: 0.5, threads: 1, packets: 9, paper: "falling"}
	for seed, success := range map[int]float64{1: 0.5, 3: 0.75} {
		report := appliance.LabReport{Train: appliance.TrainReport{Steps: 6400, Seconds: 600}}
		report.All.SuccessRate = success
		report.Labels = []appliance.LabelReport{{Label: "ping", Quality: quality.Report{ByteError: float64(seed)}}}
		b, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(o.job(rows[0], seed).report, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := o.table()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| ping |") || strings.HasPrefix(line, "| dns |") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"| ping | 76 - 90 | 50.0 - 75.0 | 2 | 24 | 2 | 12800 | 6400 | 258 | 10 |",
		"| dns | 95 - 99 | - | 0 | 0.1 | - | 19200 | - | 313 | - |",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, said := range []string{"Of the paper's steps 50 % are made", "Recipe paper: falling."} {
		if !strings.Contains(text, said) {
			t.Errorf("the table does not say %q", said)
		}
	}
}

// TestGoesOn: a job that is done is not done again, and one that fails is told of, with its log.
func TestGoesOn(t *testing.T) {
	dir := t.TempDir()
	done := job{binary: "/nonexistent", report: filepath.Join(dir, "done.json")}
	if err := os.WriteFile(done.report, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := done.run(t.Context()); err != nil {
		t.Errorf("a job that is done: %v", err)
	}
	failing := job{binary: "false", report: filepath.Join(dir, "x.json"), log: filepath.Join(dir, "x.log")}
	if err := failing.run(t.Context()); err == nil || err.Error() != "exit status 1; see "+failing.log {
		t.Errorf("a job that fails: %v", err)
	}
	if err := (options{dir: dir, only: "ftp"}).run(t.Context()); err == nil || err.Error() != "-only ftp: no such row" {
		t.Errorf("unknown row: %v", err)
	}
}
