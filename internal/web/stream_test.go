package web

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pacgan-appliance/internal/live"
)

// mustStreams serves event streams whose every part changes at every tick.
func mustStreams(tb testing.TB, change func(*page)) (*page, *httptest.Server) {
	tb.Helper()
	var n atomic.Uint64
	p, err := newPage(Options{Snapshot: func() (Snapshot, error) { return busier(n.Add(1)), nil }})
	if err != nil {
		tb.Fatal(err)
	}
	p.streams.Tick = time.Millisecond
	for _, part := range p.live {
		part.Age = 0
	}
	change(p)
	server := httptest.NewUnstartedServer(http.HandlerFunc(p.events))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if tcp, ok := c.(*net.TCPConn); ok && state == http.StateNew {
			_ = tcp.SetWriteBuffer(4096) // so that it is soon full
		}
	}
	server.Start()
	tb.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return p, server
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatal(what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestStreamGivesUpWhoDoesNotRead(t *testing.T) {
	p, server := mustStreams(t, func(p *page) { p.streams.Patience = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream does not begin", func() bool { return p.streams.Open() == 1 })
	eventually(t, "a client that does not read is kept", func() bool { return p.streams.Open() == 0 })
}

func TestStreamsAreLimited(t *testing.T) {
	p, server := mustStreams(t, func(p *page) { p.streams.Tick = time.Hour }) // nobody reads, which would end a stream that has much to say
	var cancels []context.CancelFunc
	for range live.MaxStreams {
		ctx, cancel := context.WithCancel(t.Context())
		cancels = append(cancels, cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
	}
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %s", response.Status)
	}
	for _, cancel := range cancels {
		cancel()
	}
	eventually(t, "streams outlive their clients", func() bool { return p.streams.Open() == 0 })
}

// patient is a recorder that a stream may give a deadline.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

func TestStreamSendsWhatChanged(t *testing.T) {
	s := sample()
	p, err := newPage(Options{Snapshot: func() (Snapshot, error) { return s, nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.streams.Tick = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	w := patient{httptest.NewRecorder()}
	p.events(w, httptest.NewRequestWithContext(ctx, "GET", "/events", nil))
	for _, part := range []string{"first", "ids", "training", "models"} {
		if n := strings.Count(w.Body.String(), "event: "+part+"\n"); n != 1 {
			t.Errorf("%s came %d times", part, n)
		}
	}
	lines := bufio.NewScanner(w.Body)
	for lines.Scan() {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "event: ") && !strings.HasPrefix(line, "data: ") && line != "data:" {
			t.Errorf("no field of an event stream: %q", line)
		}
	}
}

// TestClientsShareTheWork: a hundred readers have the daemon asked as often as one.
func TestClientsShareTheWork(t *testing.T) {
	var asked atomic.Uint64
	handler, err := New(Options{Snapshot: func() (Snapshot, error) { asked.Add(1); return sample(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 100 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/", nil))
		if w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
	}
	if most := uint64(time.Since(began)/liveAge) + 1; asked.Load() > most {
		t.Errorf("the daemon was asked %d times in %v, want at most %d", asked.Load(), time.Since(began), most)
	}
}
