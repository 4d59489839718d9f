package score

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pacgan-appliance/internal/chart"
)

//go:embed page.html
var pageText string

// page is parsed once; a template that does not parse fails every test.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": chart.Grouped, "percent": percent, "figure": figure, "interval": interval, "stamp": stamp,
}).Parse(pageText))

// WriteReport writes the score as one HTML page for people, which fetches
// nothing.
func WriteReport(w io.Writer, s *Score) error {
	v := struct {
		*Score
		Pages []sensorView
	}{Score: s}
	for i := range s.Sensors {
		one, err := newSensorView(&s.Sensors[i])
		if err != nil {
			return fmt.Errorf("report: %s: %w", s.Sensors[i].Name, err)
		}
		v.Pages = append(v.Pages, one)
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// sensorView is a sensor as the page shows it.
type sensorView struct {
	*Sensor
	Rates, Detect template.HTML
	Rows          []labelView
	Matrix        []matrixRow // signatures by label, those that fired most first
	More          int         // signatures that are left out
}

type labelView struct {
	*Label
	Over template.HTML // its rate over time
	P50  string
	P99  string
}

// matrixRow is a signature's line: how large a part of each label it fired on.
type matrixRow struct {
	*Signature
	Cells []matrixCell
}

type matrixCell struct {
	Label string
	Flows uint64
	Share *float64 // of the label's flows
}

// Heat is a cell's colour, 0 to 100: the root, since a few should be seen.
func (c matrixCell) Heat() float64 {
	if c.Share == nil {
		return 0
	}
	return 100 * math.Sqrt(min(*c.Share, 1))
}

func newSensorView(s *Sensor) (sensorView, error) {
	v := sensorView{Sensor: s, More: max(0, len(s.Signatures)-mostRows)}
	for i := range s.Labels {
		l := &s.Labels[i]
		over, err := l.overTime()
		if err != nil {
			return v, err
		}
		v.Rows = append(v.Rows, labelView{l, over, l.detect(l.DetectP50), l.detect(l.DetectP99)})
	}
	v.Rates = ratesChart(s.Labels)
	var err error
	if v.Detect, err = detectChart(s.Labels); err != nil {
		return v, err
	}
	for i := range s.Signatures[:min(len(s.Signatures), mostRows)] {
		v.Matrix = append(v.Matrix, newMatrixRow(&s.Signatures[i], s.Labels))
	}
	return v, nil
}

// mostRows is how many signatures the page shows.
const mostRows = 200

func newMatrixRow(g *Signature, labels []Label) matrixRow {
	r := matrixRow{Signature: g}
	for i := range labels {
		cell := matrixCell{Label: labels[i].Name}
		for _, on := range g.Fired {
			if on.Label == cell.Label {
				cell.Flows = on.Flows
				cell.Share = shareOf(on.Flows, max(on.Flows, labels[i].Detected.Of+labels[i].apart())).Rate
			}
		}
		r.Cells = append(r.Cells, cell)
	}
	return r
}

// overTime draws the share of flows that were alerted on.
func (l *Label) overTime() (template.HTML, error) {
	c := chart.Share{Title: l.Name + ": flows with an alert, per cent over time", Unit: "with an alert", Width: 440, Height: 124}
	for _, m := range l.Timeline {
		c.Columns = append(c.Columns, chart.Column{Start: m.Start, Width: time.Duration(float64(m.Seconds) * 1e9), Hits: m.Alerted, Of: m.Flows})
	}
	if n := len(c.Columns); n > 0 {
		from, to := c.Columns[0].Start, c.Columns[n-1].Start.Add(c.Columns[n-1].Width)
		c.Ticks = [3]string{from.Format(time.TimeOnly), "", to.Format(time.TimeOnly)}
	}
	return c.Draw()
}

// rates draws a bar for each label, and its interval.
type rates []Label

// ratesChart is what was alerted on of each label: of a malicious one its
// recall, of a benign one its false alerts.
func ratesChart(labels []Label) template.HTML {
	if len(labels) == 0 {
		return ""
	}
	p := chart.NewPlot()
	p.Add(rates(labels))
	names := make([]string, len(labels))
	for i := range labels {
		names[len(labels)-1-i] = labels[i].Name
	}
	p.NominalY(names...)
	p.Y.Tick.Length, p.Y.LineStyle.Width = 0, 0
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, -0.6, float64(len(labels))-0.4
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0 %"}, {Value: 50, Label: "50 %"}, {Value: 100, Label: "100 %"}}
	return chart.Drawing(p, 540, vg.Length(40+26*len(labels)), "flows with an alert, per cent of each label", nil)
}

// Plot implements plot.Plotter.
func (r rates) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i := range r {
		d := r[i].Detected
		if d.Rate == nil {
			continue
		}
		class := chart.Class("benign")
		if r[i].Malicious {
			class = "malicious"
		}
		middle := y(float64(len(r) - 1 - i))
		from, to := x(0), max(x(100**d.Rate), x(0)+1)
		c.FillPolygon(class, []vg.Point{{X: from, Y: middle - 7}, {X: to, Y: middle - 7}, {X: to, Y: middle + 7}, {X: from, Y: middle + 7}})
		c.StrokeLine2(chart.Stroke("whisker"), x(100*d.Low), middle, x(100*d.High), middle)
	}
}

// detectChart draws which share of the alerted flows had their alert after
// which time, on a logarithmic axis.
func detectChart(labels []Label) (template.HTML, error) {
	p := chart.NewPlot()
	const least = 1e-5 // seconds; what is shorter lies there
	longest, lines := 10*least, 0
	for i := range labels {
		l := &labels[i]
		if len(l.Detect) == 0 {
			continue
		}
		var points plotter.XYs
		for q, s := range l.Detect {
			at := max(float64(s), least)
			longest = max(longest, at)
			points = append(points, plotter.XY{X: math.Log10(at), Y: 100 * float64(q) / float64(len(l.Detect)-1)})
		}
		class := chart.Class("benign")
		if l.Malicious {
			class = "malicious"
		}
		if err := chart.AddLine(p, points, chart.Stroke(class), plotter.NoStep); err != nil {
			return "", err
		}
		lines++
	}
	if lines == 0 {
		return "", nil
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = math.Log10(least), math.Ceil(math.Log10(longest)), 0, 100
	var ticks plot.ConstantTicks
	for e := int(p.X.Min); e <= int(p.X.Max); e++ {
		ticks = append(ticks, plot.Tick{Value: float64(e), Label: time.Duration(math.Round(math.Pow10(e + 9))).String()})
	}
	p.X.Tick.Marker = ticks
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0 %"}, {Value: 50, Label: "50 %"}, {Value: 100, Label: "100 %"}}
	return chart.Drawing(p, 540, 180, "alerted flows, per cent, by time to the first alert", nil), nil
}

func stamp(t time.Time) string { return t.Format("2 Jan 2006 15:04:05 MST") }
