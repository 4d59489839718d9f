package main

import (
	"bytes"
	"fmt"
	"html"

	"gonum.org/v1/plot/plotter"

	"pacgan-appliance/internal/chart"
)

// style is what internal/chart leaves to its page.
const style = `body{font:14px sans-serif;max-width:60em;margin:2em auto}.stroke{fill:none;stroke:#333}.grid{stroke:#ddd}
.fill{stroke:none}.fault{stroke:#c33;stroke-width:1}.value{stroke:#06c}text{font-family:sans-serif;fill:#333}`

// picture is a page with a drawing of each size over time, faults as lines across it.
func picture(r *record) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html><meta charset=\"utf-8\"><title>soak</title><style>%s</style><h1>Soak of %g minutes, seed %d</h1><p>Over seconds; red: faults.</p>", style, r.Minutes, r.Seed)
	for _, size := range []struct {
		name string
		of   func(sample) float64
	}{
		{"RSS, MiB", func(s sample) float64 { return s.RSS }},
		{"of it Go's heap, MiB", func(s sample) float64 { return s.Heap }},
		{"goroutines", func(s sample) float64 { return float64(s.Goroutines) }},
		{"file descriptors", func(s sample) float64 { return float64(s.Files) }},
		{"BPF programs, maps and links", func(s sample) float64 { return float64(s.BPF) }},
		{"disk, MiB", func(s sample) float64 { return s.Disk }},
	} {
		p := chart.NewPlot()
		points := make(plotter.XYs, len(r.Samples))
		most := 1.0
		for i, s := range r.Samples {
			points[i].X, points[i].Y = s.At, size.of(s)
			most = max(most, points[i].Y)
		}
		for _, e := range r.Events {
			if err := chart.AddLine(p, plotter.XYs{{X: e.From, Y: 0}, {X: e.From, Y: most}}, chart.Stroke("fault"), plotter.NoStep); err != nil {
				return nil, err
			}
		}
		if err := chart.AddLine(p, points, chart.Stroke("value"), plotter.NoStep); err != nil {
			return nil, err
		}
		p.Y.Min, p.Y.Max = 0, most*1.1
		fmt.Fprintf(&b, "<h2>%s</h2>%s\n", html.EscapeString(size.name), chart.Drawing(p, 800, 160, size.name, nil))
	}
	return b.Bytes(), nil
}
