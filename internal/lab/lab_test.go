package lab_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

func mustLab(tb testing.TB, o lab.Options) *lab.Lab {
	tb.Helper()
	labtest.RequireRoot(tb)
	if o.LogDir == "" {
		o.LogDir = tb.TempDir()
	}
	l, err := lab.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

func mustTraffic(tb testing.TB, l *lab.Lab, n int) {
	tb.Helper()
	for _, label := range lab.Labels() {
		begin := time.Now()
		if err := l.Traffic(tb.Context(), label, n, nil); err != nil {
			tb.Fatal(err)
		}
		tb.Logf("%s: %d requests in %v", label, n, time.Since(begin).Round(time.Millisecond))
	}
}

// mustCounts polls until the servers have written all that the clients have seen.
func mustCounts(tb testing.TB, l *lab.Lab, want lab.Counts) {
	tb.Helper()
	var got lab.Counts
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		var err error
		if got, err = l.Counts(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		if cmp.Equal(want, got) {
			return
		}
	}
	tb.Errorf("counts (-want +got):\n%s", cmp.Diff(want, got))
}

func TestTrafficIsAnsweredAndCounted(t *testing.T) {
	for _, servers := range []lab.Servers{lab.Embedded, lab.System} {
		t.Run(string(servers), func(t *testing.T) {
			n := map[lab.Servers]int{lab.Embedded: 2000, lab.System: 100}[servers]
			l := mustLab(t, lab.Options{Servers: servers, Seed: 1})
			mustTraffic(t, l, n)
			mustCounts(t, l, lab.Counts{
				"ping": {"request": n, "reply": n}, "dns": {"NOERROR": n}, "http": {"200": n},
			})
			if err := l.ResetCounts(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, label := range lab.Labels() {
				if ok, err := l.Client(t.Context(), label, 20); err != nil || ok != 20 {
					t.Errorf("%s: %d of 20 answered, %v", label, ok, err)
				}
			}
			mustCounts(t, l, lab.Counts{
				"ping": {"request": 20, "reply": 20}, "dns": {"NOERROR": 20}, "http": {"200": 20},
			})
		})
	}
}

func TestStoppedServersAreSilent(t *testing.T) {
	for _, servers := range []lab.Servers{lab.Embedded, lab.System} {
		t.Run(string(servers), func(t *testing.T) {
			l := mustLab(t, lab.Options{Servers: servers})
			mustTraffic(t, l, 8)
			if err := l.StopServers(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, label := range lab.Labels() {
				if ok, err := l.Client(t.Context(), label, 4); err != nil || ok != 0 {
					t.Errorf("%s: %d of 4 answered by stopped servers, %v", label, ok, err)
				}
			}
			if err := l.StartServers(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustTraffic(t, l, 8)
			mustCounts(t, l, lab.Counts{
				"ping": {"request": 16, "reply": 16}, "dns": {"NOERROR": 16}, "http": {"200": 16},
			})
		})
	}
}

func TestRemovedNameIsNXDOMAIN(t *testing.T) {
	for _, servers := range []lab.Servers{lab.Embedded, lab.System} {
		t.Run(string(servers), func(t *testing.T) {
			l := mustLab(t, lab.Options{Servers: servers, Seed: 3})
			removed := l.Names()[1:]
			if servers == lab.System {
				removed = removed[:1] // each takes a restart
			}
			for _, host := range removed {
				if err := l.RemoveName(t.Context(), host); err != nil {
					t.Fatal(err)
				}
			}
			const n = 200
			ok, err := l.Client(t.Context(), "dns", n)
			if err != nil {
				t.Fatal(err)
			}
			if ok == 0 || ok == n {
				t.Errorf("%d of %d answered, want some but not all", ok, n)
			}
			mustCounts(t, l, lab.Counts{
				"ping": {"request": 0, "reply": 0}, "dns": {"NOERROR": ok, "NXDOMAIN": n - ok}, "http": {},
			})
		})
	}
}

func TestRemoveUnknownName(t *testing.T) {
	l := mustLab(t, lab.Options{})
	err := l.RemoveName(t.Context(), "nobody.test")
	if got, want := errText(err), `lab: DNS name "nobody.test": the servers do not know it`; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestTrafficOfAnUnknownLabel(t *testing.T) {
	l := mustLab(t, lab.Options{})
	err := l.Traffic(t.Context(), "smtp", 1, nil)
	if got, want := errText(err), `lab: label "smtp": no lab client speaks it: want one of bigping, blockedname, dns, http, ping, traversal`; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestTrafficIsCancelled(t *testing.T) {
	l := mustLab(t, lab.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := l.Traffic(ctx, "dns", 1<<30, func(int) { cancel() })
	if err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if ok, err := l.Client(t.Context(), "dns", 5); err != nil || ok != 5 {
		t.Errorf("afterwards %d of 5 answered, %v", ok, err)
	}
}

func TestProgressRisesToAll(t *testing.T) {
	l := mustLab(t, lab.Options{})
	var seen []int
	if err := l.Traffic(t.Context(), "ping", 3000, func(done int) { seen = append(seen, done) }); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(seen) || len(seen) == 0 || seen[len(seen)-1] != 3000 {
		t.Errorf("progress %v, want rising to 3000", seen)
	}
}

func TestServersKeepALogLineForEachRequest(t *testing.T) {
	for servers, logs := range map[lab.Servers][]string{
		lab.Embedded: {"dns.jsonl", "http.jsonl"},
		lab.System:   {"unbound.log", "nginx.jsonl"},
	} {
		t.Run(string(servers), func(t *testing.T) {
			l := mustLab(t, lab.Options{Servers: servers})
			mustTraffic(t, l, 12)
			mustCounts(t, l, lab.Counts{"ping": {"request": 12, "reply": 12}, "dns": {"NOERROR": 12}, "http": {"200": 12}})
			for _, name := range logs {
				b, err := os.ReadFile(filepath.Join(l.LogDir(), name))
				if err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(string(b), "10.77.1."); n < 12 {
					t.Errorf("%s names clients %d times, want 12:\n%s", name, n, b)
				}
			}
		})
	}
}

func TestCloseRemovesAllAndANewLabWorks(t *testing.T) {
	labtest.RequireRoot(t)
	before := mustInterfaces(t)
	l, err := lab.New(lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if diff := cmp.Diff(before, mustInterfaces(t)); diff != "" {
		t.Errorf("interfaces (-before +after):\n%s", diff)
	}
	if _, err := os.Stat(l.LogDir()); !os.IsNotExist(err) {
		t.Errorf("temporary log directory is still there: %v", err)
	}
	mustTraffic(t, mustLab(t, lab.Options{}), 4)
}

func TestKeepMessageNamesThreeProcesses(t *testing.T) {
	l := mustLab(t, lab.Options{})
	message := l.KeepMessage()
	pids := map[string]bool{}
	for line := range strings.Lines(message) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == "nsenter" {
			pids[fields[2]] = true
		}
	}
	if len(pids) != 3 {
		t.Errorf("want lines for three processes, got %v:\n%s", slices.Collect(maps.Keys(pids)), message)
	}
}

func mustInterfaces(tb testing.TB) []string {
	tb.Helper()
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	slices.Sort(names)
	return names
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
