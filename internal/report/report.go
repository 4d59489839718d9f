// Package report writes what is known of a model as one HTML page for people, which fetches nothing: its packets beside
// real ones as pictures, how training went, and where the packets differ from real ones. It measures nothing itself
// (package quality does) and trains nothing.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/quality"
)

// Model is what a page tells.
type Model struct {
	Name     string // such as the model's directory
	Manifest model.Manifest
	Against  string // what the real packets are, such as "packets held out from training"
	Labels   []Label
}

// Label is one label's generated packets and the real ones beside them, checksums zeroed.
type Label struct {
	Name      string
	Quality   quality.Report
	Generated [][]byte
	Trained   [][]byte // what the generator was fitted to
	Real      [][]byte // what it is judged by
}

const (
	shown      = 12  // packets of each kind that are drawn
	located    = 500 // generated packets that the heat map is made of
	mostBars   = 14  // of a histogram
	heatPerRow = 16  // bytes
)

//go:embed page.html
var pageText string

// page is parsed once; a template that does not parse fails every test.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": percent, "figure": figure, "thousands": thousands,
	"share": func(part, whole float64) string { return strconv.FormatFloat(100*part/max(whole, 1e-9), 'f', 1, 64) },
}).Parse(pageText))

// view is what the template shows.
type view struct {
	Model
	Losses, Distances template.HTML
	Pages             []labelView
}

type labelView struct {
	Label
	RealPictures, GeneratedPictures []template.URL
	Rows                            []measure
	Histograms                      []histogramView
	Heat                            []heatRow
}

// measure is a line of the table of figures.
type measure struct{ Name, Value, Goal, Of string }

type histogramView struct {
	quality.Histogram
	Distance, Floor float64
	Scale           float64 // the longest bar's share
}

// Missing is as many as a row lacks of its full length.
func (r heatRow) Missing() []struct{} { return make([]struct{}, heatPerRow-len(r.Cells)) }

// heatRow is a row of the heat map, as of a hex dump.
type heatRow struct {
	Offset int
	Cells  []heatCell
}

type heatCell struct {
	At    int
	Share float64
}

// Figure is a cell's share in percent, as short as the cell is narrow.
func (c heatCell) Figure() string {
	if c.Share < 0.0005 {
		return ""
	}
	if c.Share < 0.0995 {
		return strconv.FormatFloat(100*c.Share, 'f', 1, 64)
	}
	return strconv.FormatFloat(100*c.Share, 'f', 0, 64)
}

// Heat is a cell's colour, 0 to 100: the root, since a few errors should be seen.
func (c heatCell) Heat() float64 { return 100 * math.Sqrt(c.Share) }

// Write writes the page.
func Write(w io.Writer, m Model) error {
	if err := m.Manifest.Geometry.Validate(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	v := view{Model: m}
	if t := m.Manifest.Training; t != nil {
		v.Losses, v.Distances = lossChart(t), distanceChart(t)
	}
	for _, l := range m.Labels {
		lv, err := newLabelView(m.Manifest.Geometry, l)
		if err != nil {
			return fmt.Errorf("report: label %q: %w", l.Name, err)
		}
		v.Pages = append(v.Pages, lv)
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func newLabelView(g encoding.Geometry, l Label) (labelView, error) {
	v := labelView{Label: l, Rows: measures(l.Quality)}
	var err error
	if v.RealPictures, err = pictures(g, l.Real); err != nil {
		return v, err
	}
	if v.GeneratedPictures, err = pictures(g, l.Generated); err != nil {
		return v, err
	}
	for _, h := range quality.Histograms(l.Generated, l.Real, mostBars) {
		hv := histogramView{Histogram: h, Distance: l.Quality.FieldJSD.Fields[h.Field], Floor: l.Quality.FieldJSDFloor.Fields[h.Field]}
		for _, b := range h.Bars {
			hv.Scale = max(hv.Scale, b.Generated, b.Real)
		}
		v.Histograms = append(v.Histograms, hv)
	}
	wrong := quality.ErrorsAt(l.Generated[:min(len(l.Generated), located)], l.Trained, l.Real)
	for i, share := range wrong {
		if i%heatPerRow == 0 {
			v.Heat = append(v.Heat, heatRow{Offset: i})
		}
		last := &v.Heat[len(v.Heat)-1]
		last.Cells = append(last.Cells, heatCell{i, share})
	}
	return v, nil
}

// pictures draws the first packets; one that the geometry does not hold is left out.
func pictures(g encoding.Geometry, packets [][]byte) ([]template.URL, error) {
	var out []template.URL
	for _, p := range packets[:min(len(packets), shown)] {
		if len(p) > g.CapacityBytes() {
			continue
		}
		img, err := matrix(g, p)
		if err != nil {
			return nil, err
		}
		uri, err := dataURI(img)
		if err != nil {
			return nil, err
		}
		out = append(out, template.URL(uri))
	}
	return out, nil
}

// measures puts each figure beside what it should be like.
func measures(q quality.Report) []measure {
	of := func(n, total int) string { return thousands(n) + " of " + thousands(total) }
	rows := []measure{
		{"told apart (AUC)", figure(q.AUC), "0.5: not told apart", thousands(q.N.AUCPerClass) + " of each"},
		{"field distance", figure(q.FieldJSD.Mean), figure(q.FieldJSDFloor.Mean) + ": real to real", ""},
		{"coverage", percent(q.Coverage), "100 %", of(q.N.Covered, q.N.TrainKeys) + " names and addresses"},
		{"byte error", figure(q.ByteError), figure(q.ByteErrorReal) + ": real packets' own", thousands(q.N.ByteErrors) + " bytes in " + thousands(q.N.Generated)},
		{"novelty", percent(q.Novelty), "100 %", of(q.N.Novel, q.N.Generated)},
		{"template novelty", percent(q.TemplateNovelty), percent(q.TemplateNoveltyReal) + ": real packets' own", of(q.N.NovelTemplates, q.N.Generated)},
		{"duplicates", percent(q.Duplicates), "0 %", of(q.N.Duplicates, q.N.Generated)},
	}
	if q.Step0Success != nil {
		rows = append(rows, measure{"answered at step 0", percent(*q.Step0Success), "", ""})
	}
	return rows
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

func figure(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
