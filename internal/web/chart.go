package web

import (
	"fmt"
	"html/template"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// chart is a label's success over time.
type chart struct {
	SVG     template.HTML
	Decided uint64 // packets in all of it
	Busiest uint64 // packets in its busiest column
	Step    string // what a column covers
}

// column is one stretch of the chart.
type column struct {
	start time.Time
	x, w  float64 // Unix seconds
	Ends
}

const (
	chartWidth, chartHeight = vg.Length(440), vg.Length(124)
	chartColumns            = 60
	volumeShare             = 0.2 // of the height, for the busiest column's bar
)

// newChart draws the points of a span: the rate, its Wilson 95 % interval, and
// at the bottom how many packets each column has.
func newChart(label string, span Span, points []Point) (*chart, error) {
	columns := columnsOf(points)
	c := &chart{Step: brief(span.Length() / chartColumns)}
	low := 90.0
	for _, col := range columns {
		n := col.Decided()
		c.Decided += n
		c.Busiest = max(c.Busiest, n)
		low = min(low, floorOf(col.Success().Rate, n))
	}
	if c.Decided == 0 {
		return c, nil
	}
	p := newPlot()
	p.Add(volume{columns, c.Busiest})
	for _, run := range runsOf(columns) {
		if err := addRun(p, run, low); err != nil {
			return nil, fmt.Errorf("web: chart of %s: %w", label, err)
		}
	}
	first, last := columns[0], columns[len(columns)-1]
	end := last.x + last.w
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = first.x, end, low, 100
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: low, Label: fmt.Sprintf("%g %%", low)}, {Value: (low + 100) / 2}, {Value: 100, Label: "100 %"}}
	p.X.Tick.Marker = plot.ConstantTicks{
		{Value: first.x, Label: "−" + brief(span.Length())}, {Value: (first.x + end) / 2, Label: "−" + brief(span.Length()/2)}, {Value: end, Label: "now"},
	}
	title := fmt.Sprintf("%s: answered per cent over the last %s", label, brief(span.Length()))
	c.SVG = drawing(p, chartWidth, chartHeight, title, func(svg *svgCanvas, area draw.Canvas) { addTooltips(svg, area, p, columns) })
	return c, nil
}

// floorOf is the lowest figure of an axis that shows a rate well.
func floorOf(rate float64, decided uint64) float64 {
	switch {
	case decided == 0 || rate >= 0.91:
		return 90
	case rate >= 0.51:
		return 50
	}
	return 0
}

// columnsOf groups the points.
func columnsOf(points []Point) []column {
	var out []column
	group := max(1, len(points)/chartColumns)
	for i := 0; i+group <= len(points); i += group {
		p := points[i]
		col := column{start: p.Start, x: float64(p.Start.Unix()), w: float64(group) * p.Step.Seconds()}
		for _, p := range points[i : i+group] {
			col.add(p.Ends)
		}
		out = append(out, col)
	}
	return out
}

// runsOf are the longest stretches of columns in which packets were decided:
// where none was there is a gap.
func runsOf(columns []column) [][]column {
	var runs [][]column
	from := 0
	for i := 0; i <= len(columns); i++ {
		if i < len(columns) && columns[i].Decided() > 0 {
			continue
		}
		if i > from {
			runs = append(runs, columns[from:i])
		}
		from = i + 1
	}
	return runs
}

// addRun adds a line and the band of its interval.
func addRun(p *plot.Plot, run []column, low float64) error {
	var rate, upper, lower plotter.XYs
	for _, col := range run {
		s := col.Success()
		clamp := func(share float64) float64 { return max(low, 100*share) }
		for _, x := range []float64{col.x, col.x + col.w} {
			rate = append(rate, plotter.XY{X: x, Y: clamp(s.Rate)})
			upper = append(upper, plotter.XY{X: x, Y: clamp(s.High)})
			lower = append(lower, plotter.XY{X: x, Y: clamp(s.Low)})
		}
	}
	for i := len(lower) - 1; i >= 0; i-- {
		upper = append(upper, lower[i])
	}
	band, err := plotter.NewPolygon(upper)
	if err != nil {
		return err
	}
	band.Color, band.LineStyle.Width = class("band"), 0
	p.Add(band)
	return addLine(p, rate, stroke("rate"), plotter.NoStep)
}

// volume draws a bar for each column: how many packets it has.
type volume struct {
	columns []column
	busiest uint64
}

// Plot implements plot.Plotter.
func (v volume) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, col := range v.columns {
		if n := col.Decided(); n > 0 {
			height := (c.Max.Y - c.Min.Y) * volumeShare * vg.Length(float64(n)/float64(v.busiest))
			from, to := x(col.x)+0.5, x(col.x+col.w)-0.5
			c.FillPolygon(class("volume"), []vg.Point{{X: from, Y: c.Min.Y}, {X: to, Y: c.Min.Y}, {X: to, Y: c.Min.Y + height}, {X: from, Y: c.Min.Y + height}})
		}
	}
}

// addTooltips lays over each column one that nobody sees, with its figures.
func addTooltips(svg *svgCanvas, area draw.Canvas, p *plot.Plot, columns []column) {
	x, _ := p.Transforms(&area)
	for _, col := range columns {
		s := col.Success()
		if s.Decided == 0 {
			continue
		}
		fmt.Fprintf(&svg.out, `<rect x="%s" width="%s" height="%s"><title>%s: %s %% of %s answered</title></rect>`,
			decimal(x(col.x)), decimal(x(col.x+col.w)-x(col.x)), decimal(chartHeight), col.start.UTC().Format("2 Jan 15:04:05 MST"), percent(s.Rate), grouped(s.Decided))
	}
}
