package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"pacgan-appliance/internal/model"
)

// The size of a chart and of the room for its figures, in units of its drawing.
const (
	chartWidth, chartHeight = 640, 240
	left, right             = 52, 12
	top, bottom             = 10, 26
	ticks                   = 4 // about as many
)

type point struct{ x, y float64 }

// curve is a line of a chart, drawn as the style sheet's class says.
type curve struct {
	class  string
	points []point
}

// chart is a drawing of curves over steps.
type chart struct {
	title  string
	curves []curve
	marks  []point // the small circles, of class mark
}

// lossChart draws what critic and generator minimise; nothing where nothing was trained.
func lossChart(t *model.Training) template.HTML {
	critic, generator := curve{class: "critic"}, curve{class: "generator"}
	for _, l := range t.Losses {
		critic.points = append(critic.points, point{float64(l.Step), l.Critic})
		generator.points = append(generator.points, point{float64(l.Step), l.Generator})
	}
	return chart{title: "losses of critic and generator", curves: []curve{critic, generator}}.draw()
}

// distanceChart draws the distance of each checkpoint, what real packets have, and marks the chosen one.
func distanceChart(t *model.Training) template.HTML {
	mean, floor := curve{class: "mean"}, curve{class: "floor"}
	labels := map[int]*curve{}
	c := chart{title: "distance from validation packets"}
	for _, at := range t.Curve {
		step := float64(at.Step)
		mean.points = append(mean.points, point{step, at.Distance})
		floor.points = append(floor.points, point{step, t.Floor})
		for i, d := range at.Labels {
			if labels[i] == nil {
				labels[i] = &curve{class: "label"}
			}
			labels[i].points = append(labels[i].points, point{step, d})
		}
		if at.Step == t.Step {
			c.marks = append(c.marks, point{step, at.Distance})
		}
	}
	zero := curve{class: "none", points: []point{{0, 0}}}
	c.curves = []curve{zero, floor}
	if len(labels) > 1 {
		for i := range len(labels) {
			c.curves = append(c.curves, *labels[i])
		}
	}
	c.curves = append(c.curves, mean)
	if len(mean.points) < 2 {
		return ""
	}
	return c.draw()
}

// draw returns the chart as inline SVG; nothing where there is no line to draw.
func (c chart) draw() template.HTML {
	low, high, longest := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}, 0
	for _, curve := range c.curves {
		longest = max(longest, len(curve.points))
		for _, p := range curve.points {
			low = point{min(low.x, p.x), min(low.y, p.y)}
			high = point{max(high.x, p.x), max(high.y, p.y)}
		}
	}
	if longest < 2 || high.x <= low.x {
		return ""
	}
	if high.y <= low.y {
		high.y = low.y + 1
	}
	place := func(p point) string {
		return fmt.Sprintf("%.1f %.1f", left+(p.x-low.x)/(high.x-low.x)*(chartWidth-left-right),
			chartHeight-bottom-(p.y-low.y)/(high.y-low.y)*(chartHeight-top-bottom))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(c.title))
	for _, y := range ticksOf(low.y, high.y) {
		at := place(point{low.x, y})
		fmt.Fprintf(&b, `<path class="grid" d="M%sH%d"/><text class="y" transform="translate(%s)" dx="-6" dy="4">%s</text>`,
			at, chartWidth-right, at, number(y))
	}
	for _, x := range ticksOf(low.x, high.x) {
		fmt.Fprintf(&b, `<text class="x" transform="translate(%s)" dy="18">%s</text>`, place(point{x, low.y}), number(x))
	}
	for _, curve := range c.curves {
		if len(curve.points) < 2 {
			continue
		}
		steps := make([]string, len(curve.points))
		for i, p := range curve.points {
			steps[i] = place(p)
		}
		fmt.Fprintf(&b, `<path class="curve %s" d="M%s"/>`, curve.class, strings.Join(steps, "L"))
	}
	for _, p := range c.marks {
		fmt.Fprintf(&b, `<circle class="mark" r="5" transform="translate(%s)"><title>chosen: step %s</title></circle>`, place(p), number(p.x))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// ticksOf are round numbers from low to high.
func ticksOf(low, high float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/ticks)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*factor) <= ticks {
			step *= factor
			break
		}
	}
	var out []float64
	first := math.Ceil(low / step)
	for i := range 2 * ticks { // a bound, since beyond 2^53 a number plus one is the same number
		if x := (first + float64(i)) * step; x <= high+step/1e6 {
			out = append(out, x)
		}
	}
	return out
}

func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e9 {
		return thousands(int(x))
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
