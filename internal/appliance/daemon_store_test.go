package appliance

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/privacy"
)

// payloads are how many stored packets of a label have something behind their
// headers, and how many have nothing.
func (d *running) payloads(t *testing.T, label string) (some, none int) {
	t.Helper()
	store, err := dataset.OpenReadOnly(filepath.Join(d.cfg.State.Dir, dataDir))
	must(t, err)
	captured, err := store.Read(label, 0)
	must(t, err)
	must(t, store.Close())
	for _, c := range captured {
		ip, err := packet.IPOf(c.Frame)
		must(t, err)
		p, err := packet.ParseIP(ip)
		must(t, err)
		if len(p.L4Data()) > 0 {
			some++
		} else {
			none++
		}
	}
	return some, none
}

// TestPayloadsAreStoredAsTheConfigSays: headers alone, then all, by a reload.
func TestPayloadsAreStoredAsTheConfigSays(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Capture.Payload = config.PayloadTruncate })
	traffic := func(want int) {
		t.Helper()
		must(t, d.network.Traffic(t.Context(), "http", 50, nil))
		eventually(t, "the packets are not stored", func() bool {
			some, none := d.payloads(t, "http")
			return some+none == want
		})
	}
	traffic(50)
	if some, none := d.payloads(t, "http"); some != 0 || none != 50 {
		t.Errorf("truncated: %d packets with and %d without a payload, want 0 and 50", some, none)
	}
	d.write(t, func(c *config.Config) { c.Capture.Payload, c.Capture.Retention = config.PayloadKeep, time.Minute })
	d.mustDo(t, "reloaded; changed: capture.payload, capture.retention", "reload")
	traffic(100)
	if some, none := d.payloads(t, "http"); some != 50 || none != 50 {
		t.Errorf("kept: %d packets with and %d without a payload, want 50 and 50", some, none)
	}
}

// TestMemorisedIsBounded: a model whose packets repeat more than the config
// allows, or of which nobody knows what they repeat, is not promoted.
func TestMemorisedIsBounded(t *testing.T) {
	reports, err := json.Marshal(map[string]privacy.Report{
		"http": {Memorised: 0.25, N: privacy.Counts{Generated: 2000, Memorised: 500}},
		"ping": {N: privacy.Counts{Generated: 2000}},
	})
	must(t, err)
	manifest := &model.Manifest{Labels: []string{"http", "ping", "dns"}, Privacy: reports}
	const http = "http: 500 of 2000 packets repeat a captured secret, train.max_memorised is "
	const dns = "dns: what it repeats of captured secrets was not measured, and train.max_memorised bounds that"
	for _, tt := range []struct {
		most float64
		want []string
	}{{1, nil}, {0.25, []string{dns}}, {0.01, []string{http + "0.01", dns}}, {0, []string{http + "0", dns}}} {
		got, err := memorised(manifest, tt.most)
		must(t, err)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("at most %g (-want +got):\n%s", tt.most, diff)
		}
	}
}
