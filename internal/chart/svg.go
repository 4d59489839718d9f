// Package chart draws charts as inline SVG without style attributes: the style
// sheet of the page says by class what they look like, in the light and in the
// dark. It knows nothing of what is drawn.
package chart

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"strconv"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// Class is a colour by the name that the style sheet knows it by: the style
// sheet, not the chart, says what it looks like in the light and in the dark.
type Class string

// RGBA implements color.Color; nothing that is drawn here looks at it.
func (Class) RGBA() (r, g, b, a uint32) { return 0, 0, 0, 0xffff }

// ink is the class of what has no other: axes and their figures.
const ink Class = "ink"

// Canvas is a gonum canvas that draws inline SVG. gonum's own writes colours
// and fonts into style attributes, which the page's policy refuses and which
// could not follow the reader's light or dark; this one writes classes.
// Charts here neither rotate nor hold images.
type Canvas struct {
	height vg.Length // SVG's y axis points down, gonum's up
	state  svgState
	stack  []svgState
	out    strings.Builder
}

// svgState is what Push keeps.
type svgState struct {
	class         Class
	width, dx, dy vg.Length
	dashed        bool
}

func newCanvas(height vg.Length) *Canvas {
	return &Canvas{height: height, state: svgState{class: ink, width: 1}}
}

// The methods of vg.Canvas.

func (c *Canvas) SetLineWidth(w vg.Length)               { c.state.width = w }
func (c *Canvas) SetLineDash(d []vg.Length, _ vg.Length) { c.state.dashed = len(d) > 0 }
func (c *Canvas) Push()                                  { c.stack = append(c.stack, c.state) }
func (c *Canvas) Translate(p vg.Point)                   { c.state.dx += p.X; c.state.dy += p.Y }
func (c *Canvas) Rotate(float64)                         {}
func (c *Canvas) Scale(float64, float64)                 {}
func (c *Canvas) DrawImage(vg.Rectangle, image.Image)    {}

func (c *Canvas) Pop() {
	c.state = c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
}

func (c *Canvas) SetColor(as color.Color) {
	c.state.class = ink
	if name, ok := as.(Class); ok {
		c.state.class = name
	}
}

func (c *Canvas) Stroke(p vg.Path) {
	if c.state.width <= 0 {
		return
	}
	dashes := ""
	if c.state.dashed {
		dashes = " dashed"
	}
	fmt.Fprintf(&c.out, `<path class="stroke %s%s" stroke-width="%s" d="%s"/>`, c.state.class, dashes, Decimal(c.state.width), c.path(p))
}

func (c *Canvas) Fill(p vg.Path) {
	fmt.Fprintf(&c.out, `<path class="fill %s" d="%s"/>`, c.state.class, c.path(p))
}

// FillString anchors the text at its middle: the page's font is not the one
// that gonum measured, and so it is off by half of the difference on each side.
func (c *Canvas) FillString(f font.Face, p vg.Point, text string) {
	p.X += f.Width(text) / 2
	fmt.Fprintf(&c.out, `<text class="%s" font-size="%s" x="%s">%s</text>`,
		c.state.class, Decimal(f.Font.Size), strings.Replace(c.point(p), " ", `" y="`, 1), html.EscapeString(text))
}

// path writes straight lines; the charts here have no curves.
func (c *Canvas) path(p vg.Path) string {
	var d strings.Builder
	for _, step := range p {
		switch step.Type {
		case vg.MoveComp:
			d.WriteString("M" + c.point(step.Pos))
		case vg.LineComp:
			d.WriteString("L" + c.point(step.Pos))
		case vg.CloseComp:
			d.WriteString("Z")
		}
	}
	return d.String()
}

func (c *Canvas) point(p vg.Point) string {
	return Decimal(p.X+c.state.dx) + " " + Decimal(c.height-p.Y-c.state.dy)
}

// Decimal is a length as SVG writes it.
func Decimal(l vg.Length) string { return strconv.FormatFloat(float64(l), 'f', 1, 64) }
