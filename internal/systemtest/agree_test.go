package systemtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/web/webtest"
)

const page = "http://127.0.0.1:9746/"

// Of each label: how many packets are waited for, and the share of them that has to be answered. On
// these servers the lab's packets are all answered.
const (
	wantDecided = 500
	wantSuccess = 0.98
)

// status is what the daemon says of itself.
func (m *machine) status() (s appliance.Status) {
	m.t.Helper()
	must(m.t, json.Unmarshal([]byte(m.run("pacgan-appliance status --json")), &s))
	return s
}

// figures are what must be the same wherever it is shown.
type figures struct {
	Label             string
	Answered, Decided uint64
	Rate              float64
}

// agree compares what the status, a browser and Prometheus are told, while the daemon pauses.
func (m *machine) agree() {
	m.t.Helper()
	eventually(m.t, "too few packets are injected", func() bool {
		for _, l := range m.status().Labels {
			if l.Generated-l.Inflight < wantDecided {
				return false
			}
		}
		return true
	})
	m.run("pacgan-appliance pause")
	eventually(m.t, "packets stay in flight", func() bool { return m.status().All.Inflight == 0 })
	var told []figures
	for _, l := range m.status().Labels {
		told = append(told, figures{l.Label, l.Answered, l.Generated, l.SuccessRate})
		m.t.Logf("%s: %d of %d answered, %.4f", l.Label, l.Answered, l.Generated, l.SuccessRate)
		if l.SuccessRate < wantSuccess {
			m.t.Errorf("%s: %.4f of %d packets answered, want %v", l.Label, l.SuccessRate, l.Generated, wantSuccess)
		}
	}
	if diff := cmp.Diff(told, m.scraped(told)); diff != "" {
		m.t.Errorf("metrics (-status +metrics):\n%s", diff)
	}
	m.browsed(told)
	m.run("pacgan-appliance resume")
}

// scraped are the same figures as Prometheus reads them.
func (m *machine) scraped(of []figures) []figures {
	m.t.Helper()
	response, err := http.Get(page + "metrics")
	must(m.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(m.t, err)
	value := func(name, label string) float64 {
		found := regexp.MustCompile(fmt.Sprintf(`(?m)^pacgan_%s\{label="%s"\} (\S+)$`, name, label)).FindSubmatch(text)
		if found == nil {
			m.t.Fatalf("no metric %s of %s in:\n%s", name, label, text)
		}
		v, err := strconv.ParseFloat(string(found[1]), 64)
		must(m.t, err)
		return v
	}
	var out []figures
	for _, f := range of {
		out = append(out, figures{
			f.Label, uint64(value("packets_answered_total", f.Label)), uint64(value("packets_decided", f.Label)), value("success_ratio", f.Label),
		})
	}
	return out
}

// browsed looks for the figures on the page, in a browser.
func (m *machine) browsed(want []figures) {
	m.t.Helper()
	b := webtest.New(m.t)
	b.Open(page)
	var articles []string
	b.Until("the page does not show the labels, paused", func() bool {
		articles = b.Texts("article")
		return len(articles) == len(want) && strings.Contains(b.Text("header"), "paused")
	})
	for i, f := range want {
		shown := f.Rate
		if f.Answered < f.Decided {
			shown = min(shown, 0.999) // 100.0 is only what is all
		}
		article := strings.ReplaceAll(articles[i], ",", "")
		for _, part := range []string{
			f.Label, fmt.Sprintf("%.1f %% answered", 100*shown), fmt.Sprintf(" of %d ", f.Decided), fmt.Sprintf("answered %d", f.Answered),
		} {
			if !strings.Contains(article, part) {
				m.t.Errorf("the page lacks %q in %q", part, article)
			}
		}
	}
	b.Close()
}
