package chart

import (
	"fmt"
	"html/template"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// tickSize is the height of the figures on the axes, in units of the Drawing.
const tickSize = 10

// margin is room at both sides for figures that the page's font makes wider
// than the one that gonum measures.
const margin = 10

// NewPlot is an empty plot in the page's style: no frame, faint lines across.
func NewPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = ink
		axis.Tick.Color = ink
		axis.Tick.Label.Color = ink
		axis.Tick.Label.Font.Size = tickSize
		axis.Tick.Length = 0
	}
	p.Y.LineStyle.Width = 0
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal = draw.LineStyle{Color: Class("grid"), Width: 1}
	p.Add(grid)
	return p
}

// Stroke is a line's style.
func Stroke(as Class) draw.LineStyle { return draw.LineStyle{Color: as, Width: 2} }

// Drawing is a plot as SVG. over, if not nil, adds what lies over it, given
// the plot's own part of the canvas.
func Drawing(p *plot.Plot, width, height vg.Length, title string, over func(*Canvas, draw.Canvas)) template.HTML {
	svg := newCanvas(height)
	canvas := draw.NewCanvas(svg, width, height)
	p.Draw(canvas)
	if over != nil {
		over(svg, p.DataCanvas(canvas))
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="-%d 0 %s %s" role="img" aria-label="%s">%s</svg>`,
		margin, Decimal(width+2*margin), Decimal(height), template.HTMLEscapeString(title), svg.out.String()))
}

// AddLine adds a line through points; points that are not finite are an error.
func AddLine(p *plot.Plot, points plotter.XYs, style draw.LineStyle, steps plotter.StepKind) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle, line.StepStyle = style, steps
	p.Add(line)
	return nil
}
