package web

import (
	"fmt"
	"html/template"
	"time"

	"pacgan-appliance/internal/chart"
	"pacgan-appliance/internal/live"
)

// labelChart is a label's success over time.
type labelChart struct {
	SVG     template.HTML
	Decided uint64 // packets in all of it
	Busiest uint64 // packets in its busiest column
	Step    string // what a column covers
}

const chartColumns = 60

// newChart draws the points of a span: the rate, its Wilson 95 % interval, and
// at the bottom how many packets each column has.
func newChart(label string, span Span, points []Point) (*labelChart, error) {
	length := live.Brief(span.Length())
	drawn := chart.Share{
		Title: fmt.Sprintf("%s: answered per cent over the last %s", label, length), Unit: "answered",
		Columns: columnsOf(points), Low: 90, Ticks: [3]string{"−" + length, "−" + live.Brief(span.Length()/2), "now"}, Width: 440, Height: 124,
	}
	c := &labelChart{Step: live.Brief(span.Length() / chartColumns)}
	for _, col := range drawn.Columns {
		c.Decided += col.Of
		c.Busiest = max(c.Busiest, col.Of)
		if col.Of > 0 {
			drawn.Low = min(drawn.Low, floorOf(float64(col.Hits)/float64(col.Of)))
		}
	}
	var err error
	if c.SVG, err = drawn.Draw(); err != nil {
		return nil, fmt.Errorf("web: chart of %s: %w", label, err)
	}
	return c, nil
}

// floorOf is the lowest figure of an axis that shows a rate well.
func floorOf(rate float64) float64 {
	switch {
	case rate >= 0.91:
		return 90
	case rate >= 0.51:
		return 50
	}
	return 0
}

// columnsOf groups the points.
func columnsOf(points []Point) []chart.Column {
	var out []chart.Column
	group := max(1, len(points)/chartColumns)
	for i := 0; i+group <= len(points); i += group {
		var ends Ends
		for _, p := range points[i : i+group] {
			ends.add(p.Ends)
		}
		p := points[i]
		out = append(out, chart.Column{Start: p.Start, Width: time.Duration(group) * p.Step, Hits: uint64(ends.Answered), Of: ends.Decided()})
	}
	return out
}
