// Package hubpage shows a fleet: a page for people with one button, which stops all gateways, and /metrics for Prometheus.
// It reads what members, the hub and the rollouts write into buckets, and keeps nothing.
package hubpage

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pacgan-appliance/internal/chart"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/live"
)

// DefaultAddress is where the page is: on loopback, since whoever can reach it can stop the fleet.
const DefaultAddress = "127.0.0.1:9747"

//go:embed static
var static embed.FS

//go:embed templates
var templates embed.FS

// Options are what the page needs of the hub.
type Options struct {
	JetStream jetstream.JetStream
	Key       nkeys.KeyPair // the hub's: signs what gateways are told
	Keys      fleet.Keyring // of the members, who sign what is shown
	// Hosts are names by which the page may be asked for, beside localhost and IP addresses.
	Hosts []string
	Log   *slog.Logger
}

// Page is the page of one hub.
type Page struct {
	options   Options
	picture   *picture
	forged    map[string]bool // by member: its last beat was not its own; for takeBeat's goroutine
	templates *template.Template
	parts     *live.Cached[[]live.Fragment]
	streams   *live.Streams
	now       func() time.Time
	patience  time.Duration // with gateways' answers
	every     time.Duration // expectEvery
}

// New makes the page. It shows nothing before Serve or watch runs.
func New(o Options) (*Page, error) {
	t, err := template.New("").Funcs(template.FuncMap{"count": chart.Grouped, "ago": live.Ago, "bytes": inBytes}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("hub's page: %w", err)
	}
	p := &Page{options: o, picture: newPicture(), forged: map[string]bool{}, templates: t, streams: live.NewStreams(), now: time.Now, patience: fleet.AnswerWithin, every: expectEvery}
	p.parts = &live.Cached[[]live.Fragment]{Age: time.Second, Make: p.render}
	return p, nil
}

// How long a client may take to ask and to read, may keep a connection that it does not use, and how long answers may go on
// when the hub ends. An event stream sets itself another time for each event.
const (
	requestTimeout = 5 * time.Second
	readTimeout    = 30 * time.Second
	idleTimeout    = time.Minute
	grace          = 2 * time.Second
)

// Serve watches the fleet and answers on l until ctx ends.
func (p *Page) Serve(ctx context.Context, l net.Listener) error {
	handler, err := p.Handler()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); p.watch(ctx) }()
	defer func() { cancel(); <-watched }()
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("hub's page: %w", err)
	case <-ctx.Done():
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	return server.Shutdown(last)
}

// Handler answers GET and HEAD, and one POST, which stops all gateways and which only the page itself may send.
func (p *Page) Handler() (http.Handler, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(newCollector(p.view)); err != nil {
		return nil, fmt.Errorf("hub's page: register metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serve)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { p.streams.Serve(w, r, p.parts.Get) })
	mux.HandleFunc("POST /stop", p.serveStop)
	mux.Handle("GET /static/", http.FileServerFS(live.Static))
	mux.Handle("GET /static/hub.css", http.FileServerFS(static))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return live.Guard(http.NewCrossOriginProtection().Handler(mux), live.FormPolicy, p.options.Hosts), nil
}

// serve answers GET /.
func (p *Page) serve(w http.ResponseWriter, _ *http.Request) {
	parts, err := p.parts.Get()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := p.execute("page.html", parts)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, body) // the client may be gone
}

// stopped is what came of the button.
type stopped struct {
	fleet.Told
	At    time.Time
	Fault string // nobody can have been told
}

// serveStop answers POST /stop: it has all gateways pause, and shows what they answered, to everybody who looks.
func (p *Page) serveStop(w http.ResponseWriter, r *http.Request) {
	awaited := p.picture.gateways()
	ctx := context.WithoutCancel(r.Context()) // whoever pressed the button may go away
	told, err := fleet.Tell(ctx, fleet.Voice{Conn: p.options.JetStream.Conn(), Key: p.options.Key, Keys: p.options.Keys}, fleet.ControlAll, fleet.Control{Action: fleet.Pause, By: "the hub's page"}, awaited, p.patience)
	s := &stopped{Told: told, At: p.now()}
	if err != nil {
		s.Fault = err.Error()
	}
	p.options.Log.Warn("stop was asked for on the hub's page", "from", r.RemoteAddr, "paused", len(told.Replies)-len(told.Failed()), "failed", len(told.Failed()), "silent", told.Silent, "error", err)
	p.picture.setStop(s)
	p.parts.Forget()                              // it knows nothing of the answers
	http.Redirect(w, r, "/", http.StatusSeeOther) // so that the page can be loaded again without stopping again
}

// render renders the parts of the page that change.
func (p *Page) render() ([]live.Fragment, error) {
	v := p.view()
	var parts []live.Fragment
	for _, name := range []string{"first", "stopped", "gateways", "ids", "models"} {
		body, err := p.execute(name, v)
		if err != nil {
			return nil, err
		}
		parts = append(parts, live.Fragment{ID: name, HTML: body})
	}
	return parts, nil
}

func (p *Page) execute(name string, data any) (template.HTML, error) {
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("hub's page: %w", err)
	}
	return template.HTML(out.String()), nil
}

// connected says whether there is a server to hear of gateways.
func (p *Page) connected() bool {
	return p.options.JetStream != nil && p.options.JetStream.Conn().Status() == nats.CONNECTED
}
