package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"pacgan-appliance/internal/chart"
	"pacgan-appliance/internal/live"
)

//go:embed templates
var templates embed.FS

// How old what is shown may be. Within it all clients share one rendering.
const (
	liveAge    = time.Second
	modelsAge  = 10 * time.Second
	packetsAge = time.Minute // reads captures and draws packets
)

// page renders the pages. Their templates know no inline script or style.
type page struct {
	options   Options
	templates *template.Template
	live      map[string]*live.Cached[[]live.Fragment] // by the span's name
	models    *live.Cached[[]ModelReport]
	packets   *live.Cached[template.HTML]
	streams   *live.Streams
}

func newPage(o Options) (*page, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"percent": chart.Percent, "count": chart.Grouped, "ago": live.Ago, "brief": live.Brief, "rtt": rtt, "share": share, "after": after,
	}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: page: %w", err)
	}
	p := &page{
		options: o, templates: t, live: map[string]*live.Cached[[]live.Fragment]{}, streams: live.NewStreams(),
	}
	for _, span := range Spans() {
		p.live[span.Name] = &live.Cached[[]live.Fragment]{Age: liveAge, Make: func() ([]live.Fragment, error) { return p.renderLive(span) }}
	}
	p.models = &live.Cached[[]ModelReport]{Age: modelsAge, Make: p.listModels}
	p.packets = &live.Cached[template.HTML]{Age: packetsAge, Make: p.renderPackets}
	return p, nil
}

// shell is what the page consists of.
type shell struct {
	Title     string
	Span      Span
	Fragments map[string]template.HTML
	Packets   template.HTML
}

// serve answers GET /.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	span := spanOf(r)
	fragments, err := p.live[span.Name].Get()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s := shell{Span: span, Fragments: map[string]template.HTML{}}
	for _, f := range fragments {
		s.Fragments[f.ID] = f.HTML
	}
	if s.Packets, err = p.packets.Get(); err != nil {
		s.Packets = template.HTML("<p>Packets cannot be compared: " + template.HTMLEscapeString(err.Error()) + "</p>")
	}
	p.answer(w, "page.html", s)
}

// serveModel answers GET /models/{id}.
func (p *page) serveModel(w http.ResponseWriter, r *http.Request) {
	models, err := p.models.Get()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	i := slices.IndexFunc(models, func(m ModelReport) bool { return m.ID == r.PathValue("id") })
	if i < 0 {
		http.Error(w, "no such model: it may have been removed to make room", http.StatusNotFound)
		return
	}
	c, err := newCurves(models[i].Curve)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.answer(w, "model.html", struct {
		ModelReport
		Curves curves
		Now    time.Time
	}{models[i], c, time.Now()})
}

// events answers GET /events.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	p.streams.Serve(w, r, p.live[spanOf(r).Name].Get)
}

func (p *page) answer(w http.ResponseWriter, name string, data any) {
	body, err := p.execute(name, data)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, body) // the client may be gone
}

// spanOf is the span that a request asks for; any that is not one is the first.
func spanOf(r *http.Request) Span {
	spans := Spans()
	i := slices.IndexFunc(spans, func(s Span) bool { return s.Name == r.FormValue("span") })
	return spans[max(i, 0)]
}

func (p *page) execute(name string, data any) (template.HTML, error) {
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("web: page: %w", err)
	}
	return template.HTML(out.String()), nil
}

func (p *page) listModels() ([]ModelReport, error) {
	if p.options.Models == nil {
		return nil, nil
	}
	return p.options.Models()
}

func (p *page) renderPackets() (template.HTML, error) {
	if p.options.Packets == nil {
		return "", nil
	}
	all, err := compareAll(p.options.Packets)
	if err != nil {
		return "", err
	}
	return p.execute("packets", all)
}
