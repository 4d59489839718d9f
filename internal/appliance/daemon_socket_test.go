package appliance

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
)

// mustPassed is a listening socket as a file that can be passed.
func mustPassed(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	file, err := l.(*net.TCPListener).File()
	must(t, err)
	must(t, l.Close()) // as systemd, which listens and does not accept
	t.Cleanup(func() { must(t, file.Close()) })
	return file, l.Addr().String()
}

// TestSocketActivation passes the page's socket: the page is there, though the
// config wants none, from before the daemon's start until after its end.
func TestSocketActivation(t *testing.T) {
	d := mustSetUp(t, func(c *config.Config) { c.Web.Listen = netip.AddrPort{} })
	var addr string
	d.passed, addr = mustPassed(t)
	d.name = "web"
	early, err := net.Dial("tcp", addr) // waits in the backlog for the daemon
	must(t, err)
	defer early.Close()
	d.start(t)
	response, err := http.Get("http://" + addr + "/healthz")
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", response.Status)
	}
	if !strings.Contains(d.stderr.String(), "page="+addr) {
		t.Errorf("the log does not say where the page is:\n%s", d.stderr)
	}
	d.stop(t)
	late, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the socket went with the daemon: %v", err)
	}
	must(t, late.Close())
}

// TestSocketOfAnotherName is a unit without FileDescriptorName=.
func TestSocketOfAnotherName(t *testing.T) {
	d := mustSetUp(t, nil)
	d.passed, _ = mustPassed(t)
	d.name = "pacgan-appliance.socket"
	out, err := d.command(t).CombinedOutput()
	want := `pacgan-appliance: a socket named "pacgan-appliance.socket" is passed, and only "web" is known: set FileDescriptorName=web in the .socket unit` + "\n"
	if diff := cmp.Diff(want, string(out)); diff != "" || err == nil {
		t.Errorf("error %v, output (-want +got):\n%s", err, diff)
	}
}

// TestPageAlive asks a page that answers, one that does not, and none.
func TestPageAlive(t *testing.T) {
	var none pageSocket
	must(t, none.alive(t.Context()))
	path := filepath.Join(t.TempDir(), "page.sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	p := pageSocket{at: l.Addr()}
	go http.Serve(l, http.NotFoundHandler())
	must(t, p.alive(t.Context()))
	must(t, l.Close())
	if err := p.alive(t.Context()); err == nil || !strings.Contains(err.Error(), "ask the page: ") {
		t.Errorf("error %v of a page that is gone", err)
	}
}
