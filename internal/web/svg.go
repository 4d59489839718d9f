package web

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

// class is a colour by the name that the style sheet knows it by: the style
// sheet, not the chart, says what it looks like in the light and in the dark.
type class string

// RGBA implements color.Color; nothing that is drawn here looks at it.
func (class) RGBA() (r, g, b, a uint32) { return 0, 0, 0, 0xffff }

// ink is the class of what has no other: axes and their figures.
const ink class = "ink"

// svgCanvas is a gonum canvas that draws inline SVG. gonum's own writes colours
// and fonts into style attributes, which the page's policy refuses and which
// could not follow the reader's light or dark; this one writes classes.
// Charts here neither rotate nor hold images.
type svgCanvas struct {
	height vg.Length // SVG's y axis points down, gonum's up
	state  svgState
	stack  []svgState
	out    strings.Builder
}

// svgState is what Push keeps.
type svgState struct {
	class         class
	width, dx, dy vg.Length
	dashed        bool
}

func newSVGCanvas(height vg.Length) *svgCanvas {
	return &svgCanvas{height: height, state: svgState{class: ink, width: 1}}
}

// The methods of vg.Canvas.

func (c *svgCanvas) SetLineWidth(w vg.Length)               { c.state.width = w }
func (c *svgCanvas) SetLineDash(d []vg.Length, _ vg.Length) { c.state.dashed = len(d) > 0 }
func (c *svgCanvas) Push()                                  { c.stack = append(c.stack, c.state) }
func (c *svgCanvas) Translate(p vg.Point)                   { c.state.dx += p.X; c.state.dy += p.Y }
func (c *svgCanvas) Rotate(float64)                         {}
func (c *svgCanvas) Scale(float64, float64)                 {}
func (c *svgCanvas) DrawImage(vg.Rectangle, image.Image)    {}

func (c *svgCanvas) Pop() {
	c.state = c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
}

func (c *svgCanvas) SetColor(as color.Color) {
	c.state.class = ink
	if name, ok := as.(class); ok {
		c.state.class = name
	}
}

func (c *svgCanvas) Stroke(p vg.Path) {
	if c.state.width <= 0 {
		return
	}
	dashes := ""
	if c.state.dashed {
		dashes = " dashed"
	}
	fmt.Fprintf(&c.out, `<path class="stroke %s%s" stroke-width="%s" d="%s"/>`, c.state.class, dashes, decimal(c.state.width), c.path(p))
}

func (c *svgCanvas) Fill(p vg.Path) {
	fmt.Fprintf(&c.out, `<path class="fill %s" d="%s"/>`, c.state.class, c.path(p))
}

// FillString anchors the text at its middle: the page's font is not the one
// that gonum measured, and so it is off by half of the difference on each side.
func (c *svgCanvas) FillString(f font.Face, p vg.Point, text string) {
	p.X += f.Width(text) / 2
	fmt.Fprintf(&c.out, `<text class="%s" font-size="%s" x="%s">%s</text>`,
		c.state.class, decimal(f.Font.Size), strings.Replace(c.point(p), " ", `" y="`, 1), html.EscapeString(text))
}

// path writes straight lines; the charts here have no curves.
func (c *svgCanvas) path(p vg.Path) string {
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

func (c *svgCanvas) point(p vg.Point) string {
	return decimal(p.X+c.state.dx) + " " + decimal(c.height-p.Y-c.state.dy)
}

func decimal(l vg.Length) string { return strconv.FormatFloat(float64(l), 'f', 1, 64) }
