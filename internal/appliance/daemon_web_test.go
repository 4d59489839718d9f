package appliance

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab/labtest"
)

// mustAgree pauses the daemon of a config and compares what the metrics say
// with what `status --json` says, label by label.
func mustAgree(t *testing.T, path string) {
	t.Helper()
	if got := run(t, "pause", "-c", path); got.Code != ExitDone {
		t.Fatalf("pause: %+v", got)
	}
	var status Status
	got := run(t, "status", "--json", "-c", path)
	if err := json.Unmarshal([]byte(got.Stdout), &status); err != nil {
		t.Fatalf("status: %v: %+v", err, got)
	}
	metrics := mustGet(t, "http://127.0.0.1:9746/metrics")
	for _, l := range status.Labels {
		for name, want := range map[string]uint64{
			"generated": l.Generated, "answered": l.Answered, "expired": l.Expired, "on_wire": l.OnWire,
		} {
			line := fmt.Sprintf("pacgan_packets_%s_total{label=%q} %d\n", name, l.Label, want)
			if !strings.Contains(metrics, line) {
				t.Errorf("the metrics have no line %q", line)
			}
		}
	}
	for _, l := range status.Labels {
		want := "<dt>answered</dt><dd>" + thousands(l.Answered) + "</dd>"
		eventually(t, "the page does not show the answered packets of "+l.Label+": "+want, func() bool { // it is a second old at most
			return strings.Contains(mustGet(t, "http://127.0.0.1:9746/"), want)
		})
	}
	if diff := cmp.Diff("paused\n", mustGet(t, "http://127.0.0.1:9746/healthz")); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	if got := run(t, "resume", "-c", path); got.Code != ExitDone { // a pause outlives a restart
		t.Fatalf("resume: %+v", got)
	}
}

func mustGet(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return string(text)
}

func TestTakenAddress(t *testing.T) {
	labtest.RequireRoot(t)
	taken, err := net.Listen("tcp", "127.0.0.1:9746")
	must(t, err)
	defer taken.Close()
	cfg, err := config.Parse("config.toml", []byte(goodConfig))
	must(t, err)
	err = new(pageSocket).open(cfg)
	const want = `web.listen: listen tcp 127.0.0.1:9746: bind: address already in use: name another address, or "" for none`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
