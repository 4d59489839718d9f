package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/verify"
)

const (
	packaging = "../../packaging"
	ruleFile  = packaging + "/prometheus/pacgan-appliance.rules.yml"
)

// mustTool is a program of Debian's prometheus package. Without it the test is
// skipped, unless PACGAN_REQUIRE_ROOT=1 says that everything has to run.
func mustTool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
		tb.Fatalf("%v: make deps installs it", err)
	}
	if err != nil {
		tb.Skip(err)
	}
	return path
}

func TestRulesHold(t *testing.T) {
	promtool := mustTool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", ruleFile}, {"test", "rules", packaging + "/prometheus/pacgan-appliance.test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// promServer is a running Prometheus that scrapes a handler.
type promServer struct {
	tb      testing.TB
	ctx     context.Context
	address string
	accepts atomic.Pointer[string] // what its last scrape asked for
}

// mustPrometheus starts Debian's Prometheus with data of its own and our alert
// rules, and has it scrape the handler every second.
func mustPrometheus(t *testing.T, handler http.Handler) *promServer {
	t.Helper()
	program := mustTool(t, "prometheus")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	p := &promServer{tb: t, ctx: ctx, address: freeAddress(t)}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept := r.Header.Get("Accept")
		p.accepts.Store(&accept)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(target.Close)
	rules, err := filepath.Abs(ruleFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: pacgan-appliance, static_configs: [{targets: [%q]}]}]
`, rules, strings.TrimPrefix(target.URL, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ended by us
		if t.Failed() {
			t.Logf("prometheus said:\n%s", out.String())
		}
	})
	return p
}

// freeAddress is one of loopback on which nobody listens.
func freeAddress(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get asks Prometheus' API and decodes its data.
func (p *promServer) get(path string, into any) error {
	r, err := http.NewRequestWithContext(p.ctx, "GET", "http://"+p.address+"/api/v1/"+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %w", body, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return nil
}

// promSample is one series' value.
type promSample struct {
	Metric map[string]string
	Value  [2]any
}

// query is an expression's value now.
func (p *promServer) query(expression string) ([]promSample, error) {
	var data struct{ Result []promSample }
	err := p.get("query?query="+url.QueryEscape(expression), &data)
	return data.Result, err
}

// until asks until ok.
func (p *promServer) until(what string, ok func() error) {
	p.tb.Helper()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-p.ctx.Done():
			p.tb.Fatalf("%s: %v", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// dashboardQueries are the expressions of the Grafana dashboard, with its
// variables filled in as Grafana does.
func dashboardQueries(tb testing.TB) map[string]string {
	tb.Helper()
	encoded, err := os.ReadFile(packaging + "/grafana/pacgan-appliance.json")
	if err != nil {
		tb.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(encoded, &dashboard); err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr)
			out[panel.Title+" "+target.RefID] = expression
		}
	}
	if len(out) < 20 {
		tb.Fatalf("the dashboard has %d expressions", len(out))
	}
	return out
}

// TestPrometheusScrapes has Prometheus scrape a busy daemon: every expression
// of the dashboard has a value, every alert can be evaluated, and the success
// is the snapshot's.
func TestPrometheusScrapes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Prometheus")
	}
	var scrapes atomic.Uint64
	handler, err := New(Options{Snapshot: func() (Snapshot, error) { return busier(scrapes.Add(1)), nil }})
	if err != nil {
		t.Fatal(err)
	}
	p := mustPrometheus(t, handler)
	p.until("no two scrapes", func() error {
		found, err := p.query("count_over_time(up[1m]) > 2")
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("%d scrapes so far", scrapes.Load())
		}
		return err
	})
	if accept := *p.accepts.Load(); !strings.Contains(accept, "application/openmetrics-text") {
		t.Errorf("Prometheus asked for %q: OpenMetrics is not tested", accept)
	}
	for name, expression := range dashboardQueries(t) {
		if found, err := p.query(expression); err != nil || len(found) == 0 {
			t.Errorf("dashboard %s: %d series, %v: %s", name, len(found), err, expression)
		}
	}
	checkRules(t, p)
	for metric, of := range map[string]func(*Label) float64{
		"pacgan_success_ratio":          func(l *Label) float64 { return l.Success.Rate },
		"pacgan_success_low_ratio":      func(l *Label) float64 { return l.Success.Low },
		"pacgan_packets_decided":        func(l *Label) float64 { return float64(l.Success.Decided) },
		"pacgan_packets_answered_total": func(l *Label) float64 { return float64(l.Answered) },
	} {
		found, err := p.query(metric)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d series, %v", metric, len(found), err)
		}
		checkAgainstSnapshots(t, metric, found, scrapes.Load(), of)
	}
}

// checkAgainstSnapshots compares each series with the snapshots so far: one of
// them has to have that very value.
func checkAgainstSnapshots(t *testing.T, metric string, found []promSample, newest uint64, of func(*Label) float64) {
	t.Helper()
	for _, series := range found {
		got, err := strconv.ParseFloat(series.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		same := false
		for n := range newest + 1 {
			s := busier(n)
			for i := range s.Labels {
				same = same || s.Labels[i].Name == series.Metric["label"] && of(&s.Labels[i]) == got
			}
		}
		if !same {
			t.Errorf("%s of %s is %v in Prometheus: no snapshot says so", metric, series.Metric["label"], got)
		}
	}
}

// busier is sample after n more scrapes: every count that may grow did.
func busier(n uint64) Snapshot {
	s := sample()
	for i := range s.Labels {
		l := &s.Labels[i]
		if l.Answer == "none" {
			l.Generated, l.Unasked, l.OnWire = l.Generated+n, l.Unasked+n, l.OnWire+n
			continue
		}
		l.Generated, l.Answered, l.OnWire = l.Generated+10*n, l.Answered+10*n, l.OnWire+10*n
		l.Success = verify.SuccessOf(l.Success.Answered+10*n, l.Success.Decided+10*n)
		if l.Ceiling != nil {
			ceiling := verify.SuccessOf(l.Ceiling.Answered+n, l.Ceiling.Decided+n)
			l.Ceiling = &ceiling
		}
	}
	for i := range s.IDS[0].Labels { // sampleIDS makes them anew each time
		d := &s.IDS[0].Labels[i].Detected
		d.Of += 10 * n
		if s.IDS[0].Labels[i].Malicious {
			d.Hits += 9 * n
		}
	}
	return s
}

// checkRules compares the alerts that Prometheus evaluates with those in the file.
func checkRules(t *testing.T, p *promServer) {
	t.Helper()
	text, err := os.ReadFile(ruleFile)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, found[1])
	}
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	p.until("the rules are not evaluated", func() error {
		if err := p.get("rules?type=alert", &data); err != nil {
			return err
		}
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
			}
		}
		return nil
	})
	var got []string
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			got = append(got, r.Name)
			if r.State == "firing" {
				t.Errorf("%s fires for a daemon that is well", r.Name)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// TestPromtoolLikesTheMetrics lints what is really served.
func TestPromtoolLikesTheMetrics(t *testing.T) {
	promtool := mustTool(t, "promtool")
	handler, err := New(Options{Snapshot: func() (Snapshot, error) { return sample(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/metrics", nil))
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = w.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
