package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pacgan-appliance/internal/lab/plan"
)

// httpServer serves the sites of the plan, each at its own address only, and 404 for the rest.
type httpServer struct {
	log    *journal
	pages  map[string]bool // address + host + path
	server *http.Server
	done   sync.WaitGroup
}

// httpEntry is one line of http.jsonl. Host and Path are empty where net/http refused the request
// before any handler saw it.
type httpEntry struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
	Server string    `json:"server"`
	Host   string    `json:"host,omitempty"`
	Path   string    `json:"path,omitempty"`
	Status int       `json:"status"`
}

func newHTTP(sites []plan.Site, paths []string, log *journal) *httpServer {
	h := &httpServer{log: log, pages: map[string]bool{}}
	for _, s := range sites {
		for _, p := range paths {
			h.pages[s.Addr.String()+" "+s.Host+p] = true
		}
	}
	return h
}

func (h *httpServer) start(addrs []netip.Addr) error {
	var listeners []net.Listener
	for _, addr := range addrs {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(addr, 80).String())
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	h.serve(listeners)
	return nil
}

func (h *httpServer) serve(listeners []net.Listener) {
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second, // half a request must not hold its connection for ever
		IdleTimeout:       30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	for _, l := range listeners {
		h.done.Go(func() { _ = h.server.Serve(&loggingListener{l, h.log}) }) // ErrServerClosed
	}
}

func (h *httpServer) stop() {
	if h.server != nil {
		h.server.Close()
	}
	h.done.Wait()
	h.server = nil
}

// ServeHTTP answers one request that net/http found well-formed.
func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(connKey{}).(*loggingConn)
	if !ok {
		http.Error(w, "not a lab connection", http.StatusInternalServerError)
		return
	}
	host, path := strings.ToLower(strings.TrimSuffix(r.Host, ":80")), r.URL.Path
	c.host, c.path = host, path
	server, _, _ := net.SplitHostPort(c.LocalAddr().String())
	if !h.pages[server+" "+host+path] {
		http.NotFound(w, r)
		return
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method) {
		http.Error(w, "read only", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s%s\n", host, path)
}

type connKey struct{}

// loggingListener logs every response at the socket, because net/http answers requests that it
// cannot parse (400, 431, 501, 505) without calling a handler.
type loggingListener struct {
	net.Listener
	log *journal
}

// Accept waits for the next connection.
func (l *loggingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &loggingConn{Conn: c, log: l.log}, nil
}

type loggingConn struct {
	net.Conn
	log        *journal
	host, path string // of the request being answered; set and read by its goroutine
}

// Write sends bytes and logs those that begin a response. Bodies here are lines of text which never
// begin with a protocol version, and net/http writes a small response at once.
func (c *loggingConn) Write(b []byte) (int, error) {
	if status, ok := statusOf(b); ok {
		c.log.add(strconv.Itoa(status), httpEntry{
			Time: time.Now().UTC(), Source: c.RemoteAddr().String(), Server: c.LocalAddr().String(),
			Host: c.host, Path: c.path, Status: status,
		})
		c.host, c.path = "", ""
	}
	return c.Conn.Write(b)
}

func statusOf(b []byte) (int, bool) {
	if !bytes.HasPrefix(b, []byte("HTTP/1.")) || len(b) < len("HTTP/1.1 200") {
		return 0, false
	}
	status, err := strconv.Atoi(string(b[9:12]))
	return status, err == nil && status >= 200 // 100 Continue is not an answer yet
}
