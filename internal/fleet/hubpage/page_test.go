package hubpage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
	"pacgan-appliance/internal/live"
	"pacgan-appliance/internal/web"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// shown is the text of the page, on one line.
func shown(tb testing.TB, h http.Handler) string {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/", nil))
	if w.Code != http.StatusOK {
		tb.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if body := w.Body.String(); strings.Contains(body, "<script>") || strings.Contains(body, "style=") || strings.Contains(body, "ZgotmplZ") {
		tb.Errorf("has what the policy or the template engine refuses:\n%s", body)
	}
	return strings.Join(strings.Fields(tags.ReplaceAllString(w.Body.String(), " ")), " ")
}

func mustContain(tb testing.TB, text string, wants ...string) {
	tb.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			tb.Errorf("lacks %q in:\n%s", want, text)
		}
	}
}

func TestPage(t *testing.T) {
	mustContain(t, shown(t, mustHandler(t, samplePage(t, nil))),
		"4 gateways", "No NATS server is reached: what is shown is old.", "STOP all gateways", "Truth behind 3.0 MiB",
		"98.4 % of 61,000 (98.3 – 98.5)", "50 sent, no answer expected", "revision 7, 8 is not taken yet", "model 20260301T100000Z-1a2b3c4d",
		"Refused revision 9: safety.allow: 0.0.0.0/0 is wider than the gateway&#39;s own", "2.0 KiB of truth were removed for room", "Model 0123456789ab was not taken: canary: 50 of 200 answered",
		"lab-z never seen", "seen never", "&lt;script&gt;alert(1)", "5 of 1: counts that disagree",
		"edge lab-a 97.0 % of 1,000 (95.7 – 97.9) 0.0 % of 990 (0.0 – 0.4)", "edge lab-b 3.0 % of 100 (1.0 – 8.5) 2.0 % of 400 (1.0 – 3.9)",
		"aaaabbbbcccc 2 h 0 min 20260301T100000Z-1a2b3c4d, 20260301T101500Z-99999999 lab-a, lab-b",
		"fedcba987654 all lab-a big lab-a took it, lab-b is asked waits for lab-b", "failed lab-b big", "big training 1 s ago 0.9.0 trains for lab-a")
}

// TestLately wants differences of beats, and none across counts that began anew.
func TestLately(t *testing.T) {
	p := samplePage(t, nil)
	b := beats()[0]
	at := noon
	beat := func(after time.Duration, onWire, generated, answered uint64) {
		at = at.Add(after)
		b.Labels = slices.Clone(b.Labels)
		b.OnWire, b.Labels[0].Generated, b.Labels[0].Answered, b.Labels[0].Inflight = b.OnWire+onWire, b.Labels[0].Generated+generated, b.Labels[0].Answered+answered, 0
		p.picture.beat(b, at)
		p.now = func() time.Time { return at }
	}
	for range 60 {
		beat(fleet.BeatInterval, 1000, 1000, 900)
	}
	g := p.view().gateway("lab-a")
	if got := g.Labels[0]; got.Over < lately || got.Over > lately+sampleStep || got.Lately.Of == 0 || got.Lately.Hits*10 != got.Lately.Of*9 || g.OnWire.Rate != 500 {
		t.Errorf("lately %+v, %v", got, g.OnWire)
	}
	if want := (share{60_000 + 60*900, 61_002 + 60*1000}); g.Labels[0].All != want {
		t.Errorf("in all %+v, want %+v", g.Labels[0].All, want)
	}
	b.OnWire, b.Labels[0].Generated, b.Labels[0].Answered = 0, 0, 0
	beat(fleet.BeatInterval, 10, 10, 10)
	if g := p.view().gateway("lab-a"); g.OnWire.Over != 0 || g.Labels[0].Lately != (share{}) {
		t.Errorf("lately after counts began anew: %+v", g)
	}
	at = at.Add(fleet.LostAfter + time.Second)
	if g := p.view().gateway("lab-a"); g.State != lost || !g.Trouble {
		t.Errorf("silent for too long: %+v", g)
	}
}

func (v view) gateway(name string) *gatewayView {
	for i := range v.Gateways {
		if v.Gateways[i].Name == name {
			return &v.Gateways[i]
		}
	}
	return nil
}

// TestRolesAreNotTheMembers wants a gateway that calls itself something else to be asked by the button all the same.
func TestRolesAreNotTheMembers(t *testing.T) {
	p := samplePage(t, nil)
	p.picture.beat(fleet.Beat{Role: fleet.Trainer, Name: "lab-z"}, noon)
	if diff := cmp.Diff([]string{"lab-a", "lab-b", "lab-c", "lab-z"}, p.picture.gateways()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.picture.vanish("lab-b")
	p.picture.vanish("lab-z") // it ought to be there
	if diff := cmp.Diff([]string{"lab-a", "lab-c", "lab-z"}, p.picture.gateways()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatesAreWebs(t *testing.T) {
	for _, s := range web.States() {
		if got := strings.Join(states, " "); !strings.Contains(got, string(s)) {
			t.Errorf("the metrics do not know the state %s: %s", s, got)
		}
	}
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		name, method, target, origin, site string
		code                               int
	}{
		{"page", "GET", "http://127.0.0.1:9747/", "", "", 200},
		{"head", "HEAD", "http://127.0.0.1:9747/", "", "", 200},
		{"named host", "GET", "http://hub:9747/", "", "", 200},
		{"style", "GET", "http://localhost/static/hub.css", "", "", 200},
		{"shared style", "GET", "http://localhost/static/page.css", "", "", 200},
		{"metrics", "GET", "http://[::1]/metrics", "", "", 200},
		{"foreign host", "GET", "http://evil.example/", "", "", 421},
		{"stop by a foreign host", "POST", "http://evil.example/stop", "http://evil.example", "same-origin", 421},
		{"stop from another site", "POST", "http://localhost/stop", "http://evil.example", "cross-site", 403},
		{"stop from another port", "POST", "http://localhost:9747/stop", "http://localhost:9746", "same-site", 403},
		{"stop by an old browser from another site", "POST", "http://localhost/stop", "http://evil.example", "", 403},
		{"a link does not stop", "GET", "http://localhost/stop", "", "", 405},
		{"post", "POST", "http://localhost/", "", "", 405},
		{"put", "PUT", "http://localhost/stop", "", "", 405},
		{"delete", "DELETE", "http://localhost/", "", "", 405},
		{"nothing else", "GET", "http://localhost/resume", "", "", 404},
	}
	h := mustHandler(t, samplePage(t, nil))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w := httptest.NewRequest(tt.method, tt.target, nil), httptest.NewRecorder()
			r.Header.Set("Origin", tt.origin)
			r.Header.Set("Sec-Fetch-Site", tt.site)
			h.ServeHTTP(w, r)
			if w.Code != tt.code {
				t.Errorf("status %d, want %d; body:\n%s", w.Code, tt.code, w.Body)
			}
			if diff := cmp.Diff(live.FormPolicy, w.Header().Get("Content-Security-Policy")); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

// mustAnswer has gateways answer what they are told, and is how often they were.
func mustAnswer(tb testing.TB, url string, replies ...fleet.ControlReply) {
	tb.Helper()
	for _, reply := range replies {
		c, err := nats.Connect(url)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(c.Close)
		if _, err := c.Subscribe(fleet.ControlAll, func(m *nats.Msg) {
			var told fleet.Control
			request, err := fleet.Open(fleettest.Public(tb, "hub"), m.Subject, m.Data)
			if err == nil {
				err = json.Unmarshal(request, &told)
			}
			if err != nil || told.Action != fleet.Pause {
				tb.Errorf("told %s: %v", m.Data, err)
			}
			answer, err := fleet.Seal(fleettest.Key(tb, reply.Gateway), m.Reply, text(reply))
			if err != nil {
				tb.Error(err)
			}
			_ = m.Respond(answer) // the hub may wait no more
		}); err != nil {
			tb.Fatal(err)
		}
		if err := c.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestStop(t *testing.T) {
	s, js := fleettest.Hub(t, "lab-a")
	p := samplePage(t, js)
	p.patience = 3 * time.Second // lab-z never answers
	mustAnswer(t, s.ClientURL(), fleet.ControlReply{Gateway: "lab-a", Message: "paused"}, fleet.ControlReply{Gateway: "lab-b", Error: "kernel: <gone>"}, fleet.ControlReply{Gateway: "lab-c", Message: hostile})
	h := mustHandler(t, p)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/stop", nil))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Fatalf("status %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	mustContain(t, shown(t, h), "Stop, asked for at 12:00:00 UTC", "Did not answer: lab-z . Look there.", "lab-b did not stop: kernel: &lt;gone&gt;", "lab-a paused", "lab-c &#34;&gt;&lt;script&gt;")
}

// TestStopWithoutServer wants no gateway to be blamed for a message that nobody got.
func TestStopWithoutServer(t *testing.T) {
	s, js := fleettest.Hub(t)
	p := samplePage(t, js)
	s.Shutdown()
	s.WaitForShutdown()
	h := mustHandler(t, p)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "http://localhost/stop", nil))
	page := shown(t, h)
	mustContain(t, page, "Nobody was told: tell gateways to pause: no server was reached")
	if strings.Contains(page, "Did not answer") {
		t.Error("blames gateways")
	}
}
