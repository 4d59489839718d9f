package hubpage

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
	"pacgan-appliance/internal/web/webtest"
)

// TestBrowserStops presses the button, without scripts too, and looks at the page in the light and in the dark, wide and narrow.
func TestBrowserStops(t *testing.T) {
	b := webtest.New(t)
	s, js := fleettest.Hub(t)
	p := samplePage(t, js)
	p.patience = 3 * time.Second // lab-z never answers
	mustAnswer(t, s.ClientURL(), fleet.ControlReply{Gateway: "lab-a", Message: "paused"}, fleet.ControlReply{Gateway: "lab-b", Error: "kernel: gone"}, fleet.ControlReply{Gateway: "lab-c", Message: "paused"})
	server := httptest.NewServer(mustHandler(t, p))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 400} {
			b.Resize(width, 800)
			b.Colours(scheme)
			b.Open(server.URL)
			fits(t, b, "hub-"+scheme+map[bool]string{true: "-phone"}[width == 400], width)
		}
	}
	b.Click("#stop button")
	b.Until("the answers are not shown", func() bool { return strings.Contains(b.Text("#stopped"), "lab-a paused") })
	mustContain(t, b.Text("#stopped"), "Did not answer: lab-z", "lab-b did not stop: kernel: gone")
	fits(t, b, "hub-stopped", 400)
	if got := webtest.Evaluate[string](b, `location.pathname`); got != "/" {
		t.Errorf("the page is at %s now: loading it again would stop again", got)
	}
	if asked := b.Asked(); len(asked) != 1 || asked[strings.TrimPrefix(server.URL, "http://")] == 0 {
		t.Errorf("the browser asked %v", asked)
	}
	p.picture.beat(fleet.Beat{Name: "lab-a", Role: fleet.Gateway, State: "paused", Status: "follows"}, noon)
	b.Until("the page does not follow", func() bool { return strings.Contains(b.Text("#gateways"), "follows") })
	if complaints := b.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}

	p.picture.setStop(nil)
	b.NoScripts()
	b.Open(server.URL)
	b.Click("#stop button")
	b.Until("the answers are not shown without scripts", func() bool { return strings.Contains(b.HTML(), "Did not answer") })
}

// fits looks at the page as it is, and keeps it in the directory PACGAN_LOOK for a person who works on it.
func fits(t *testing.T, b *webtest.Browser, name string, width int) {
	t.Helper()
	if got := webtest.Evaluate[int](b, `document.documentElement.scrollWidth`); got > width {
		t.Errorf("%s: %d pixels wide, the window is %d: it scrolls sideways", name, got, width)
	}
	if least := b.LeastContrast(); least < 4.5 {
		t.Errorf("%s: the least contrast of a text is %.2f, WCAG AA asks for 4.5", name, least)
	}
	if dir := os.Getenv("PACGAN_LOOK"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), b.Screenshot(true), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
