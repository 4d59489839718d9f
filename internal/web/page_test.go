package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// busyHistory has ten minutes of the labels of sample, and a gap.
func busyHistory(tb testing.TB) *History {
	h := mustHistory(tb, filepath.Join(tb.TempDir(), "history"))
	for i := range 300 {
		if i > 120 && i < 150 {
			continue
		}
		n := uint64(i)
		mustAdd(tb, h, noon.Add(time.Duration(i-299)*2*time.Second), answered("ping", 30*n),
			Label{Name: "dns", Counts: Counts{Generated: 30 * n, Answered: 27 * n, Expired: 3*n - n/7}})
	}
	return h
}

func TestPage(t *testing.T) {
	waiting := func(s *Snapshot) { s.State, s.Model = Paused, nil }
	tests := []struct {
		name, target string
		change       func(*Snapshot)
		want         []string
	}{
		{"first screen", "/", func(*Snapshot) {}, []string{
			"<h1>injecting</h1>", "pacgan-appliance pause", "<b>99.2 %</b>", "of 998", "<dt>nxdomain</dt><dd>80</dd>",
			"sends and expects no answer", "120 packets missing", "2 h 0 min old", "recipe gan, step 400", `aria-label="ping: answered per cent over the last 10 min"`,
		}},
		{"sensors", "/", func(*Snapshot) {}, []string{
			"IDS edge: signature 1:9000001 (LOCAL &lt;traversal&gt;) has not fired on traversal for 42 s and 180 flows; before, it did on 98 %: was the rule removed?",
			"<td>97.0 % of 1,000 (95.7 – 97.9)</td>", "12 expired", "traversal 970, foreign 17",
		}},
		{"fleet", "/", func(*Snapshot) {}, []string{`<div><dt>Fleet</dt><dd>connected</dd><dd class="note">lab-a: 4,096 bytes of truth wait</dd></div>`}},
		{"fleet away", "/", func(s *Snapshot) { s.Fleet = &Fleet{Name: "lab-a", Lost: 12_345, Refused: "desired revision 7:2: <b>"} }, []string{
			`<div class="bad"><dt>Fleet</dt><dd>away</dd>`, "this gateway goes on by itself", "12,345 bytes lost for room", "refused: desired revision 7:2: &lt;b&gt;",
		}},
		{"another span", "/?span=24h", func(*Snapshot) {}, []string{`href="/?span=24h" aria-current="page"`, "over the last 24 h"}},
		{"unknown span", "/?span=%3Cscript%3E", func(*Snapshot) {}, []string{`data-events="/events?span=10m"`}},
		{"paused, no model", "/", waiting, []string{"pacgan-appliance resume", "none yet"}},
		{"escapes", "/", func(s *Snapshot) { s.Status = "<b>x" }, []string{"&lt;b&gt;x"}},
		{"style", "/static/page.css", func(*Snapshot) {}, []string{"prefers-color-scheme: dark"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sample()
			tt.change(&s)
			handler, err := New(Options{Snapshot: func() (Snapshot, error) { return s, nil }, History: busyHistory(t)})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+tt.target, nil))
			for _, want := range tt.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("status %d, lacks %q:\n%s", w.Code, want, w.Body)
				}
			}
			if strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "ZgotmplZ") {
				t.Error("has what the policy or the template engine refuses")
			}
		})
	}
}

func TestEventsEndWithTheRequest(t *testing.T) {
	handler, err := New(Options{Snapshot: func() (Snapshot, error) { return sample(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close() // waits for the handler
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || first != "event: first\n" {
		t.Errorf("first line %q, %v", first, err)
	}
	cancel()
}
