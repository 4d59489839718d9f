package score

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/web/webtest"
)

// TestReport reads the page in a browser: what it tells, that it asks for nothing, and that it can be read in both
// colours and on a telephone. PACGAN_SCREENSHOTS names a directory to keep pictures of it in.
func TestReport(t *testing.T) {
	b := webtest.New(t)
	w := world{flows: 4000, labels: 4, clients: 20, ports: 3000, gap: 5e6, foreign: 300, alerted: 0.4}
	m := w.make(t, 1)
	source := func(name string) Source { return Source{Name: name, Kind: idslog.Suricata, Paths: []string{m.eve}} }
	s, err := Run(t.Context(), Options{Truth: m.truth, Sources: []Source{source("old"), source("<new>")}})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := WriteReport(&page, s); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write(page.Bytes()) // a browser that goes away has seen enough
	}))
	defer server.Close()
	for _, scheme := range []string{"light", "dark"} {
		b.Colours(scheme)
		b.Resize(1280, 900)
		b.Open(server.URL)
		if least := b.LeastContrast(); least < 4.5 {
			t.Errorf("%s: contrast %.2f, at least 4.5", scheme, least)
		}
		if dir := os.Getenv("PACGAN_SCREENSHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, "score-"+scheme+".png"), b.Screenshot(true), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Resize(360, 800)
	if wide := webtest.Evaluate[int](b, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("%d pixels wide in a window of 360", wide)
	}
	for what, want := range map[string]string{"h2": "<new>", ".tiles": "of no injected flow", "table": `made "up" 999999`, "p": "4,000 injected flows"} {
		if got := b.Text(what); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q: %s", what, want, got)
		}
	}
	for selector, want := range map[string]int{
		"svg":                  2 * (2 + 4), // two sensors: rates, times to detect, and a label's each
		"svg path.stroke.rate": 2 * 4,
		"td.heat":              2 * 5 * 4, // signatures by labels
	} {
		if got := webtest.Evaluate[int](b, fmt.Sprintf("document.querySelectorAll(%q).length", selector)); got < want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}
	for host := range b.Asked() {
		if host != server.Listener.Addr().String() {
			t.Errorf("the page asked %s", host)
		}
	}
	for _, c := range b.Complaints() {
		if !strings.Contains(c, "favicon") {
			t.Errorf("the browser complains: %s", c)
		}
	}
}
