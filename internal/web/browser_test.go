package web

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pacgan-appliance/internal/web/webtest"
)

// liveServer serves a snapshot that the test may change.
type liveServer struct {
	*httptest.Server
	mu sync.Mutex
	s  Snapshot
}

func mustServe(tb testing.TB) *liveServer {
	tb.Helper()
	live := &liveServer{s: sample()}
	handler, err := New(Options{
		Snapshot: live.snapshot, History: busyHistory(tb),
		Packets: func() ([]Packets, error) { return samplePackets(), nil },
		Models:  func() ([]ModelReport, error) { return sampleModels(), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	live.Server = httptest.NewServer(handler)
	tb.Cleanup(func() { live.CloseClientConnections(); live.Close() })
	return live
}

func (l *liveServer) snapshot() (Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.s
	s.Labels = slices.Clone(s.Labels)
	return s, nil
}

func (l *liveServer) change(f func(*Snapshot)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.s)
}

func mustContain(tb testing.TB, what, text string, wants ...string) {
	tb.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			tb.Errorf("%s lacks %q in:\n%s", what, want, text)
		}
	}
}

func TestBrowserShowsTheSnapshot(t *testing.T) {
	server, b := mustServe(t), webtest.New(t)
	b.Resize(1280, 800)
	b.Open(server.URL)
	mustContain(t, "header", b.Text("header"), "injecting", "50.0/s, 99.2 % answered", "Stop: pacgan-appliance pause")
	mustContain(t, "tiles", b.Text(".tiles > div"), "2 h 0 min old", "recipe gan, step 400", "0.050", "real packets have 0.030", "Drift none", "asked: 50/s")
	mustContain(t, "labels", b.Text("article"),
		"99.2 % answered 95 %: 98.4 – 99.6 of 998 in all", "captured 4,000 submitted 1,000 on wire 1,000 answered 990 in flight 2", "no answer 8",
		"90.1 % answered", "nxdomain 80 no answer 9 refused 4 not sent: no route 3 blocked by the guard 2 malformed 1",
		"10 min", "24 h", "30 d", "sends and expects no answer", "120 packets missing", "ceiling 100.0 % 40")
	mustContain(t, "sensors", b.Text("#ids"), "traversal (malicious) 97.0 % of 1,000", "was the rule removed?", "400µs", "1 signatures that fired")
	mustContain(t, "packets", b.Text("#packets"), "1 of 88 digits differ", "ICMP sequence 2 3", "DNS name example.org example.com")
	server.change(func(s *Snapshot) { s.State, s.Labels[0].Answered = Paused, 123_456 })
	b.Until("the page does not follow the snapshot", func() bool {
		return strings.Contains(b.Text("article"), "answered 123,456") && strings.Contains(b.Text("header"), "pacgan-appliance resume")
	})
	if asked := b.Asked(); len(asked) != 1 || asked[strings.TrimPrefix(server.URL, "http://")] == 0 {
		t.Errorf("the browser asked %v", asked)
	}
	if complaints := b.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestBrowserFits looks at the pages in the light and in the dark, wide and narrow.
func TestBrowserFits(t *testing.T) {
	server, b := mustServe(t), webtest.New(t)
	tests := []struct {
		name, path, scheme string
		width              int
	}{
		{"wall-light", "/", "light", 1280},
		{"wall-dark", "/", "dark", 1280},
		{"phone-light", "/", "light", 400},
		{"phone-dark", "/", "dark", 400},
		{"model-light", "/models/" + sampleModels()[0].ID, "light", 1280},
		{"model-phone-dark", "/models/" + sampleModels()[0].ID, "dark", 400},
	}
	backgrounds := map[string]string{}
	for _, tt := range tests { // one browser, and so no subtests
		b.Resize(tt.width, 800)
		b.Colours(tt.scheme)
		b.Open(server.URL + tt.path)
		if got := webtest.Evaluate[int](b, `document.documentElement.scrollWidth`); got > tt.width {
			t.Errorf("%s: %d pixels wide, the window is %d: it scrolls sideways", tt.name, got, tt.width)
		}
		if least := b.LeastContrast(); least < 4.5 {
			t.Errorf("%s: the least contrast of a text is %.2f, WCAG AA asks for 4.5", tt.name, least)
		}
		if tt.width == 1280 && tt.path == "/" {
			const ends = `Math.max(...[...document.querySelectorAll("header, .tiles, article")].map(e => e.getBoundingClientRect().bottom))`
			if end := webtest.Evaluate[float64](b, ends); end > 800 {
				t.Errorf("%s: the first screen ends at %v of 800 pixels", tt.name, end)
			}
		}
		backgrounds[tt.scheme] = webtest.Evaluate[string](b, `getComputedStyle(document.body).backgroundColor`)
		look(t, b, tt.name)
	}
	if backgrounds["light"] == backgrounds["dark"] {
		t.Errorf("light and dark have the same background %s", backgrounds["light"])
	}
}

// look keeps what the browser shows in the directory PACGAN_LOOK, for a person
// who works on the page.
func look(t *testing.T, b *webtest.Browser, name string) {
	if dir := os.Getenv("PACGAN_LOOK"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), b.Screenshot(true), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrowserWithoutScripts has the page follow the snapshot by reloading itself.
func TestBrowserWithoutScripts(t *testing.T) {
	server, b := mustServe(t), webtest.New(t)
	b.NoScripts()
	b.Open(server.URL)
	mustContain(t, "page", b.HTML(), "<b>99.2 %</b>", `class="matrix"`, "distance from validation packets", "kept aside")
	mustContain(t, "sensors", b.HTML(), "97.0 % of 1,000", "was the rule removed?")
	server.change(func(s *Snapshot) { s.Labels[0].Answered = 123_456 })
	b.Until("the page does not reload itself", func() bool { return strings.Contains(b.HTML(), "123,456") })
}

// TestBrowserShowsAModel follows the link to the model's own page.
func TestBrowserShowsAModel(t *testing.T) {
	server, b := mustServe(t), webtest.New(t)
	b.Open(server.URL)
	b.Click("#models tr.current a")
	b.Until("the model's page does not come", func() bool { return b.Text("main.model h1") == sampleModels()[0].ID })
	mustContain(t, "the model's page", b.Text("main"), "in use: at least as good", "400 of 450", "0.041 (0.030)", "1500", "100.0 % of 200 (98.1 – 100.0)", "generator loss")
}
