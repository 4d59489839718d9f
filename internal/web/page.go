package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pacgan-appliance/internal/verify"
)

//go:embed static
var static embed.FS

// page renders the one page there is. Its template knows no scripts inline.
type page struct {
	options  Options
	template *template.Template
}

// view is what the template shows.
type view struct {
	Snapshot
	Span  Span
	Spans []Span
	Rows  []row
	Drops []reason
}

// row is one label on the page.
type row struct {
	Label
	Chart    *chart // nil without a history
	Failed   []reason
	Rejected []reason
}

func newPage(o Options) (*page, error) {
	t, err := template.New("page.html").Funcs(template.FuncMap{
		"percent": percent, "count": grouped, "ago": ago, "rtt": func(d time.Duration) string { return d.Round(10 * time.Microsecond).String() },
	}).ParseFS(static, "static/page.html")
	if err != nil {
		return nil, fmt.Errorf("web: page: %w", err)
	}
	return &page{o, t}, nil
}

// serve answers GET /.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	body, err := p.render("page.html", r.FormValue("span"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(body) // the client may be gone
}

// events sends the changing part every two seconds, until the client goes.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	stream := http.NewResponseController(w)
	for {
		body, err := p.render("live", r.FormValue("span"))
		if err != nil {
			return // the page says that it lost the connection, and tries again
		}
		if stream.SetWriteDeadline(time.Now().Add(10*time.Second)) != nil {
			return // a client that does not read must not be kept for ever
		}
		data := strings.ReplaceAll(string(body), "\n", "\ndata: ")
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil || stream.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func (p *page) render(name, span string) ([]byte, error) {
	s, err := p.options.Snapshot()
	if err != nil {
		return nil, err
	}
	v := view{Snapshot: s, Span: Spans()[0], Spans: Spans(), Drops: largestFirst(s.Drops)}
	if i := slices.IndexFunc(v.Spans, func(s Span) bool { return s.Name == span }); i >= 0 {
		v.Span = v.Spans[i]
	}
	for _, l := range s.Labels {
		r := row{Label: l, Failed: largestFirst(l.Counts.Failed), Rejected: largestFirst(l.Counts.Rejected)}
		if p.options.History != nil {
			r.Chart = newChart(p.options.History.Points(v.Span, l.Name, s.Time))
		}
		v.Rows = append(v.Rows, r)
	}
	var out bytes.Buffer
	err = p.template.ExecuteTemplate(&out, name, &v)
	return out.Bytes(), err
}

// percent prints a share with one decimal; 100.0 only where it is all.
func percent(share float64) string {
	if share < 1 && share >= 0.9995 {
		return "99.9"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64)
}

// grouped prints a count as 1,234,567.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ago prints a time that passed in its two largest units.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// chart is a label's success over time as SVG paths in a box of chartWidth x
// chartHeight. It is drawn here and by no library: go-analyze/charts writes
// colours into style attributes, which the page's policy refuses and which
// could not follow the reader's light or dark.
type chart struct {
	Low     int    // per cent at the bottom: 0, 50 or 90
	Line    string // the rate
	Band    string // its Wilson 95 % interval
	Decided uint64
	Columns []column
}

// column is one stretch of the chart, for its tooltip.
type column struct {
	X, Width float64
	Start    string
	verify.Success
}

const (
	chartWidth, chartHeight = 600.0, 100.0
	chartColumns            = 60
)

func newChart(points []Point) *chart {
	c := &chart{Low: 90}
	group := max(1, len(points)/chartColumns)
	width := chartWidth * float64(group) / float64(max(1, len(points)))
	for i := 0; i+group <= len(points); i += group {
		var e Ends
		for _, p := range points[i : i+group] {
			e.add(p.Ends)
		}
		s := e.Success()
		c.Decided += s.Decided
		c.Columns = append(c.Columns, column{float64(i/group) * width, width, points[i].Start.Format("2 Jan 15:04:05"), s})
		if s.Decided > 0 && s.Rate < 0.91 {
			c.Low = min(c.Low, 50)
		}
		if s.Decided > 0 && s.Rate < 0.51 {
			c.Low = 0
		}
	}
	c.draw()
	return c
}

// draw makes the paths; a column in which nothing was decided is a gap.
func (c *chart) draw() {
	var line, band strings.Builder
	y := func(share float64) float64 {
		low := float64(c.Low) / 100
		return chartHeight * (1 - max(0, (share-low)/(1-low)))
	}
	for _, col := range c.Columns {
		if col.Decided == 0 {
			continue
		}
		fmt.Fprintf(&line, "M%.1f %.1fh%.1f", col.X, y(col.Rate), col.Width)
		fmt.Fprintf(&band, "M%.1f %.1fh%.1fV%.1fh-%.1fz", col.X, y(col.High), col.Width, y(col.Low), col.Width)
	}
	c.Line, c.Band = line.String(), band.String()
}
