package inject_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
)

// startNginx serves a small page on the servers' host until the test ends.
func startNginx(tb testing.TB, host *labtest.Host) {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events { worker_connections 4096; }
http { access_log off; server { listen %[2]s:80 backlog=4096; location / { return 200 "hello\n"; } } }
`, dir, webServer)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		tb.Fatal(err)
	}
	nginx := host.Command("nginx", "-c", path)
	if err := nginx.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		nginx.Process.Signal(os.Interrupt)
		nginx.Wait()
	})
	eventually(tb, "nginx serves", func() bool {
		return host.Command("curl", "-s", "--max-time", "1", "-o", "/dev/null", "http://"+webServer).Run() == nil
	})
}

// requests repeats one GET over few ports, each conversation with new timestamps.
func requests(tb testing.TB, n, ports int, request string) []labelled {
	tb.Helper()
	list := make([]labelled, n)
	for i := range list {
		list[i] = mustRequest(tb, uint16(40000+i%ports), request)
		binary.BigEndian.PutUint32(list[i].ip[44:], uint32(i)*0x9e3779b9) // any TSval, as a model would give
	}
	return list
}

// TestPortsAreReused: five thousand conversations over 50 flows, with a server
// that keeps its connections open and with one that closes first, and so has
// each flow in TIME-WAIT when it is used again.
func TestPortsAreReused(t *testing.T) {
	for name, request := range map[string]string{
		"server waits":  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"server closes": "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, networkOptions{})
			startNginx(t, n.servers)
			const total = 5000
			got := n.inject(t, requests(t, total, 50, request), inject.RunOptions{Rate: 2500})[web]
			want := account{Label: "http", Generated: total, Answered: total, OnWire: total}
			if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
			n.checkNoConnectionIsLeft(t)
		})
	}
}

// TestConversationsAreBounded: a few slots serve many packets, in time.
func TestConversationsAreBounded(t *testing.T) {
	n := newNetwork(t, networkOptions{conversations: 8, timeout: 300 * time.Millisecond})
	startHTTP(t, n.servers, http.NotFoundHandler())
	const total = 400
	got := n.inject(t, requests(t, total, 100, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), inject.RunOptions{})[web]
	want := account{Label: "http", Generated: total, Rejected: map[string]uint64{"http 404": total}, OnWire: total}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// TestEqualSegmentsQueue: a thousand packets of one flow at once become a
// thousand conversations, one after the other. The server closes first, and
// each takes a tenth of a millisecond: sequence numbers must not fall behind
// those that the server has in TIME-WAIT (RFC 9293, 3.4.1).
func TestEqualSegmentsQueue(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 10 * time.Second}) // one stands for all
	startNginx(t, n.servers)
	const total = 1000
	got := n.inject(t, requests(t, total, 1, "GET /"+strings.Repeat("a", 1200)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), inject.RunOptions{})[web]
	want := account{Label: "http", Generated: total, Answered: total, OnWire: total}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}
