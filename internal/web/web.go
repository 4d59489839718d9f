// Package web shows what the daemon does: a page for people, /metrics for
// Prometheus and /healthz. It reads a Snapshot and a History and changes
// nothing; control is another package's.
package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pacgan-appliance/internal/live"
)

// Options are what the page needs of the daemon.
type Options struct {
	// Snapshot reads the daemon's state. It may be called by several goroutines
	// at once: at every scrape, and every second while a page is open.
	Snapshot func() (Snapshot, error)
	// History is the success over time; nil: the page has no charts.
	History *History
	// Packets are generated packets of each label and real ones to compare them
	// with, asked for once a minute at most; nil: the page compares none.
	Packets func() ([]Packets, error)
	// Models are the models that are kept, the newest first; nil: none is listed.
	Models func() ([]ModelReport, error)
	// Hosts are names by which the page may be asked for, beside localhost and
	// IP addresses. Any other is refused: a web site whose name resolves to
	// 127.0.0.1 (DNS rebinding) could otherwise read the page.
	Hosts []string
}

// New makes the handler of the page, /metrics and /healthz. Event streams end
// with their request's context: give http.Server a BaseContext that ends with
// the daemon, or Shutdown waits for every open page.
func New(o Options) (http.Handler, error) {
	if o.Snapshot == nil {
		return nil, errors.New("web: Options.Snapshot is nil")
	}
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		NewCollector(o.Snapshot),
		collectors.NewGoCollector(), // goroutines and memory, for whoever looks for a leak
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("web: register metrics: %w", err)
		}
	}
	page, err := newPage(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page.serve)
	mux.HandleFunc("GET /events", page.events)
	mux.HandleFunc("GET /models/{id}", page.serveModel)
	mux.Handle("GET /static/", http.FileServerFS(live.Static))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveHealth(w, o.Snapshot) })
	return live.Guard(mux, live.Policy, o.Hosts), nil
}

// serveHealth answers 200 while the daemon's state can be read.
func serveHealth(w http.ResponseWriter, snapshot func() (Snapshot, error)) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s, err := snapshot()
	switch {
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
	case s.State == Failing:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, s.State)
	default:
		fmt.Fprintln(w, s.State)
	}
}
