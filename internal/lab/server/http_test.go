package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab/plan"
)

// TestHTTPStatusesAreCountedAsSent sends requests by hand and compares what came back with the log.
func TestHTTPStatusesAreCountedAsSent(t *testing.T) {
	log, err := newJournal(t.TempDir(), "http.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer log.file.Close()
	own, other := mustListen(t, "127.0.0.1:0"), mustListen(t, "127.0.0.2:0")
	h := newHTTP([]plan.Site{{Host: "www.a.test", Addr: netip.MustParseAddr("127.0.0.1")}}, []string{"/", "/news"}, log)
	h.serve([]net.Listener{own, other})
	defer h.stop()
	for _, c := range []struct {
		name    string
		server  net.Listener
		request string
		want    int
	}{
		{"a page", own, "GET /news HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 200},
		{"with port and capitals", own, "GET / HTTP/1.1\r\nHost: WWW.a.test:80\r\n\r\n", 200},
		{"a HEAD", own, "HEAD / HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 200},
		{"a query string", own, "GET /news?x=1 HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 200},
		{"unknown path", own, "GET /newz HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 404},
		{"unknown host", own, "GET / HTTP/1.1\r\nHost: www.b.test\r\n\r\n", 404},
		{"another server's host", other, "GET / HTTP/1.1\r\nHost: www.a.test\r\n\r\n", 404},
		{"a POST", own, "POST / HTTP/1.1\r\nHost: www.a.test\r\nContent-Length: 0\r\n\r\n", 405},
		{"no host", own, "GET / HTTP/1.1\r\n\r\n", 400},
		{"no protocol", own, "GET /\r\n\r\n", 400},
		{"bytes", own, "\x01\x02\x03\r\n\r\n", 400},
		{"a bad header", own, "GET / HTTP/1.1\r\nHost www.a.test\r\n\r\n", 400},
		{"protocol 2", own, "GET / HTTP/2.0\r\nHost: www.a.test\r\n\r\n", 505},
	} {
		t.Run(c.name, func(t *testing.T) {
			log.reset()
			if got := mustStatus(t, c.server.Addr().String(), c.request); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
			if diff := cmp.Diff(map[string]int{strconv.Itoa(c.want): 1}, log.snapshot()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
	if b, err := os.ReadFile(log.file.Name()); err != nil || len(b) == 0 {
		t.Errorf("the log is empty, %v", err)
	}
}

func mustListen(tb testing.TB, addr string) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func mustStatus(tb testing.TB, server, request string) int {
	tb.Helper()
	conn, err := net.DialTimeout("tcp4", server, 5*time.Second)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		tb.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode // the body ends with the connection
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		in     string
		status int
		ok     bool
	}{
		{"HTTP/1.1 200 OK\r\n", 200, true},
		{"HTTP/1.0 404 Not Found\r\n", 404, true},
		{"HTTP/1.1 100 Continue\r\n\r\n", 100, false},
		{"HTTP/1.1 2", 0, false},
		{"www.a.test/\n", 0, false},
		{"", 0, false},
	} {
		if status, ok := statusOf([]byte(c.in)); ok != c.ok || ok && status != c.status {
			t.Errorf("%q: %d %t, want %d %t", c.in, status, ok, c.status, c.ok)
		}
	}
}
