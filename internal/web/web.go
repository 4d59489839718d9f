// Package web shows what the daemon does: a page for people, /metrics for
// Prometheus and /healthz. It reads a Snapshot and a History and changes
// nothing; control is another package's.
package web

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// policy lets the page load its own style sheet and script and connect to its
// own events; all else is refused, inline script and style too.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// New makes the handler of the page, /metrics and /healthz. Event streams end
// with their request's context: give http.Server a BaseContext that ends with
// the daemon, or Shutdown waits for every open page.
func New(o Options) (http.Handler, error) {
	if o.Snapshot == nil {
		return nil, errors.New("web: Options.Snapshot is nil")
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(NewCollector(o.Snapshot)); err != nil {
		return nil, fmt.Errorf("web: register metrics: %w", err)
	}
	page, err := newPage(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page.serve)
	mux.HandleFunc("GET /events", page.events)
	mux.HandleFunc("GET /models/{id}", page.serveModel)
	mux.Handle("GET /static/", http.FileServerFS(static))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { serveHealth(w, o.Snapshot) })
	return guarded(mux, o.Hosts), nil
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

// guarded refuses foreign names and sets the headers that all responses have.
func guarded(next http.Handler, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !ours(r.Host, hosts) {
			w.WriteHeader(http.StatusMisdirectedRequest)
			io.WriteString(w, "unknown host name: use the IP address or localhost\n") // the client may be gone
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ours says whether a Host header names this page.
func ours(host string, hosts []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "" || host == "localhost" || slices.Contains(hosts, host)
}
