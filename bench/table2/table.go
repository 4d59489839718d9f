package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/train"
)

// row is a row of the paper's Table II.
type row struct {
	labels    []string
	worst     float64 // success, %
	best      float64
	byteError []float64 // of each label
	steps     int
	minutes   int
}

func (r row) name() string { return strings.Join(r.labels, "+") }

// rows are the paper's figures.
var rows = []row{
	{[]string{"ping"}, 76, 90, []float64{24}, 12800, 258},
	{[]string{"dns"}, 95, 99, []float64{0.1}, 19200, 313},
	{[]string{"http"}, 76, 79, []float64{0.4}, 19200, 313},
	{[]string{"ping", "dns"}, 75, 86, []float64{36, 0.6}, 20000, 300},
	{[]string{"ping", "http"}, 71, 85, []float64{36, 1.1}, 22000, 369},
	{[]string{"dns", "http"}, 70, 88, []float64{0.6, 0.9}, 24000, 377},
	{[]string{"ping", "dns", "http"}, 66, 87, []float64{12, 0.2, 1.9}, 28000, 400},
}

// table is the paper's figures and ours, side by side, of what is done.
func (o options) table() (string, error) {
	var b strings.Builder
	settings := "as in the paper, its gaps filled from TF-GAN's MNIST example"
	if o.paper != "" {
		settings = o.paper
	}
	fmt.Fprintf(&b, "# Table II of the paper, and ours\n\n%s, %s, %d cores, %d of them training. Recipe paper: %s. %d packets captured of each\n"+
		"label from the lab's real clients; success is answered / generated over 3,000 packets of each label, live against the\n"+
		"lab's embedded servers, nothing filtered. Of the paper's steps %g %% are made. Where a training is under way, its steps\n"+
		"so far and its distance from validation packets are given (0 to 1, with what real packets have).\n\n",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), o.threads, settings, o.packets, 100*o.scale)
	b.WriteString("| traffic | success %, paper | ours, worst - best of seeds | seeds | byte error, paper | ours | steps, paper | ours | minutes, paper | ours |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		ours, err := o.ours(r)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %.0f - %.0f | %s | %d | %s | %s | %d | %s | %d | %s |\n",
			r.name(), r.worst, r.best, ours.success, ours.seeds, figures(r.byteError), ours.byteError, r.steps, ours.steps, r.minutes, ours.minutes)
	}
	return b.String(), nil
}

// measured are our figures of a row, as text.
type measured struct {
	success, byteError, steps, minutes string
	seeds                              int
}

func (o options) ours(r row) (measured, error) {
	m := measured{success: "-", byteError: "-", steps: "-", minutes: "-"}
	var worst, best float64
	byteError := make([]float64, len(r.labels))
	var seconds float64
	for seed := 1; seed <= o.seeds; seed++ {
		report, err := readReport(o.job(r, seed).report)
		if errors.Is(err, fs.ErrNotExist) {
			if m.seeds == 0 && seed == 1 {
				m.success, m.steps, m.minutes = o.underWay(r)
			}
			continue
		}
		if err != nil {
			return m, err
		}
		success := 100 * report.All.SuccessRate
		if m.seeds == 0 {
			worst, best = success, success
		}
		worst, best = min(worst, success), max(best, success)
		for i, l := range report.Labels {
			byteError[i] += l.Quality.ByteError
		}
		seconds += report.Train.Seconds
		m.steps = fmt.Sprint(report.Train.Steps)
		m.seeds++
	}
	if m.seeds == 0 {
		return m, nil
	}
	for i := range byteError {
		byteError[i] /= float64(m.seeds)
	}
	m.success, m.byteError = fmt.Sprintf("%.1f - %.1f", worst, best), figures(byteError)
	m.minutes = fmt.Sprintf("%.0f", seconds/60/float64(m.seeds))
	return m, nil
}

// underWay tells of a row's first training, if that is not done.
func (o options) underWay(r row) (success, steps, minutes string) {
	saved, err := train.Open(filepath.Join(o.dir, r.name()+"-1", "training"))
	if err != nil {
		return "-", "-", "-"
	}
	last := saved.Last()
	return fmt.Sprintf("under way: distance %.3f at step %d", last.Distance, last.Step),
		fmt.Sprintf("%d of %d", saved.Steps(), saved.Options.Steps), fmt.Sprintf("%.0f so far", saved.Seconds()/60)
}

func readReport(path string) (appliance.LabReport, error) {
	var report appliance.LabReport
	b, err := os.ReadFile(path)
	if err != nil {
		return report, err
	}
	if err := json.Unmarshal(b, &report); err != nil {
		return report, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

// figures joins numbers.
func figures(values []float64) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprintf("%.2g", v)
	}
	return strings.Join(parts, ", ")
}

// processor is the machine's, as Linux names it.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
