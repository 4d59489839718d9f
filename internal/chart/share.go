package chart

import (
	"fmt"
	"html/template"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pacgan-appliance/internal/wilson"
)

// Share is a chart of a share over time, with its Wilson 95 % interval, and at
// the bottom how many each column has. Its classes are rate, band and volume.
type Share struct {
	Title         string // for those who do not see it
	Unit          string // what the hits are: "answered"
	Columns       []Column
	Low           float64   // where the axis begins, in percent
	Ticks         [3]string // below the first moment, the middle, and the last
	Width, Height vg.Length
}

// Column is a stretch of time.
type Column struct {
	Start    time.Time
	Width    time.Duration
	Hits, Of uint64
}

func (c Column) x() float64 { return float64(c.Start.UnixNano()) / 1e9 }
func (c Column) w() float64 { return c.Width.Seconds() }

// percent are the share and its interval.
func (c Column) percent() (rate, low, high float64) {
	low, high = wilson.Interval(c.Hits, c.Of)
	return 100 * float64(c.Hits) / float64(c.Of), 100 * low, 100 * high
}

// Draw is the chart as SVG; "" where there is nothing to draw.
func (s Share) Draw() (template.HTML, error) {
	busiest := uint64(0)
	for _, c := range s.Columns {
		busiest = max(busiest, c.Of)
	}
	if busiest == 0 {
		return "", nil
	}
	p := NewPlot()
	p.Add(volume{s.Columns, busiest})
	for _, run := range runsOf(s.Columns) {
		if err := s.addRun(p, run); err != nil {
			return "", err
		}
	}
	first, last := s.Columns[0], s.Columns[len(s.Columns)-1]
	end := last.x() + last.w()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = first.x(), end, s.Low, 100
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: s.Low, Label: fmt.Sprintf("%g %%", s.Low)}, {Value: (s.Low + 100) / 2}, {Value: 100, Label: "100 %"}}
	p.X.Tick.Marker = plot.ConstantTicks{{Value: first.x(), Label: s.Ticks[0]}, {Value: (first.x() + end) / 2, Label: s.Ticks[1]}, {Value: end, Label: s.Ticks[2]}}
	return Drawing(p, s.Width, s.Height, s.Title, func(svg *Canvas, area draw.Canvas) { s.addTooltips(svg, area, p) }), nil
}

// runsOf are the longest stretches of columns that have something: where
// nothing is there is a gap.
func runsOf(columns []Column) [][]Column {
	var runs [][]Column
	from := 0
	for i := 0; i <= len(columns); i++ {
		if i < len(columns) && columns[i].Of > 0 {
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
func (s Share) addRun(p *plot.Plot, run []Column) error {
	var line, upper, lower plotter.XYs
	for _, col := range run {
		rate, low, high := col.percent()
		for _, x := range []float64{col.x(), col.x() + col.w()} {
			line = append(line, plotter.XY{X: x, Y: max(s.Low, rate)})
			upper = append(upper, plotter.XY{X: x, Y: max(s.Low, high)})
			lower = append(lower, plotter.XY{X: x, Y: max(s.Low, low)})
		}
	}
	for i := len(lower) - 1; i >= 0; i-- {
		upper = append(upper, lower[i])
	}
	band, err := plotter.NewPolygon(upper)
	if err != nil {
		return err
	}
	band.Color, band.LineStyle.Width = Class("band"), 0
	p.Add(band)
	return AddLine(p, line, Stroke("rate"), plotter.NoStep)
}

// volumeShare is the busiest column's bar's share of the height.
const volumeShare = 0.2

// volume draws a bar for each column: how many it has.
type volume struct {
	columns []Column
	busiest uint64
}

// Plot implements plot.Plotter.
func (v volume) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, col := range v.columns {
		if col.Of > 0 {
			height := (c.Max.Y - c.Min.Y) * volumeShare * vg.Length(float64(col.Of)/float64(v.busiest))
			from, to := x(col.x())+0.5, x(col.x()+col.w())-0.5
			c.FillPolygon(Class("volume"), []vg.Point{{X: from, Y: c.Min.Y}, {X: to, Y: c.Min.Y}, {X: to, Y: c.Min.Y + height}, {X: from, Y: c.Min.Y + height}})
		}
	}
}

// addTooltips lays over each column one that nobody sees, with its figures.
func (s Share) addTooltips(svg *Canvas, area draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&area)
	for _, col := range s.Columns {
		if col.Of == 0 {
			continue
		}
		fmt.Fprintf(&svg.out, `<rect x="%s" width="%s" height="%s"><title>%s: %s %% of %s %s</title></rect>`,
			Decimal(x(col.x())), Decimal(x(col.x()+col.w())-x(col.x())), Decimal(s.Height), col.Start.UTC().Format("2 Jan 15:04:05 MST"),
			Percent(float64(col.Hits)/float64(col.Of)), Grouped(col.Of), template.HTMLEscapeString(s.Unit))
	}
}
