package appliance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/score"
	"pacgan-appliance/internal/web/webtest"
)

// TestDaemonScoresItsSensor has a daemon watch a real Suricata: what it flags of clients' packets it flags of
// generated ones, which the page shows. A rule that is deleted is missed, a sensor that is killed too, and both are
// forgiven when they are back, though its log was rotated meanwhile, by name and by a copy.
func TestDaemonScoresItsSensor(t *testing.T) {
	withoutRace(t)
	labtest.RequireProgram(t, "suricata")
	d := mustSetUp(t, nil)
	labels := append(lab.Flagged(), lab.Labels()...)
	d.write(t, func(cfg *config.Config) {
		all, _, err := labOptions{labels: labels, rate: 500, recipe: "tree"}.config(cfg.State.Dir)
		must(t, err)
		cfg.Labels, cfg.Train.MinPackets, cfg.Inject.Rate.PerSecond = all.Labels, 300, 300
		cfg.IDS = []config.IDS{{Name: "edge", Kind: config.IDSSuricata, Path: d.network.EVE(), Silence: 5 * time.Second}}
	})
	must(t, d.network.StartIDS(t.Context()))
	d.start(t)
	for _, label := range labels {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	sensor := func() *score.LiveScore { return &d.status(t).IDS[0] }
	eventually(t, "flows are not scored", func() bool {
		now := sensor()
		return len(now.Labels) == len(labels) && !slices.ContainsFunc(now.Labels, func(l score.Label) bool { return l.Detected.Of < 200 })
	})
	now := sensor()
	for _, l := range now.Labels {
		flagged := slices.Contains(lab.Flagged(), l.Name)
		if l.Malicious != flagged || flagged && (*l.Recall.Rate < 0.99 || *l.Precision.Rate < 0.99) || !flagged && *l.Detected.Rate > 0.005 {
			t.Errorf("%s: malicious %t, %d of %d flows have alerts", l.Name, l.Malicious, l.Detected.Hits, l.Detected.Of)
		}
	}
	if warnings := now.Warnings(); now.Foreign == 0 || len(warnings) > 0 { // the testers' own
		t.Errorf("%d foreign alerts, warnings %q", now.Foreign, warnings)
	}

	mustShow(t, "traversal (malicious)")
	must(t, d.network.DropRules(t.Context(), "traversal"))
	gone := time.Now()
	const silent = "IDS edge: signature 1:7700003 (pacgan lab: path traversal in a URL) has not fired on traversal for"
	missed := func(text string) func() bool {
		return func() bool { return strings.Contains(strings.Join(sensor().Warnings(), "\n"), text) }
	}
	eventually(t, "the rule is not missed", missed(silent))
	t.Logf("a rule that is deleted is missed after %v", time.Since(gone).Round(time.Second))
	mustShow(t, silent)
	logged := func(text string) func() bool { return func() bool { return strings.Contains(d.stderr.String(), text) } }
	eventually(t, "the rule is not in the log", logged(`msg="IDS edge: signature 1:7700003 no longer fires on traversal"`))
	if got := d.do(t, "status"); !strings.Contains(got.Stdout, "warning: "+silent) {
		t.Errorf("status does not warn of the rule:\n%s", got.Stdout)
	}
	d.do(t, "reload")
	eventually(t, "the rule was removed on purpose, and is missed after a reload", func() bool { return len(sensor().Warnings()) == 0 })
	must(t, d.network.DropRules(t.Context()))
	eventually(t, "the rule is back, and missed", func() bool { return len(sensor().Warnings()) == 0 })

	renamed, copied := d.network.EVE()+".1", d.network.EVE()+".2"
	must(t, d.network.KillIDS(t.Context()))
	gone = time.Now()
	const dead = "while traffic flows: is it running"
	eventually(t, "the sensor is not missed", missed(dead))
	t.Logf("a sensor that is killed is missed after %v", time.Since(gone).Round(time.Second))
	mustShow(t, dead)
	eventually(t, "the sensor is not in the log", logged(`msg="IDS edge: logs nothing while traffic flows"`))
	must(t, os.Rename(d.network.EVE(), renamed)) // the daemon follows it until there is another one
	must(t, d.network.StartIDS(t.Context()))
	eventually(t, "the sensor is back, and missed", func() bool { return len(sensor().Warnings()) == 0 })

	whole, err := os.ReadFile(d.network.EVE())
	must(t, err)
	must(t, os.WriteFile(copied, whole, 0o600))
	must(t, os.Truncate(d.network.EVE(), 0)) // logrotate's copytruncate: what is written between is lost
	before := sensor()
	eventually(t, "no alert is found in a log that was cut", func() bool {
		now := sensor()
		for i, l := range now.Labels {
			if slices.Contains(lab.Flagged(), l.Name) && l.Detected.Hits < before.Labels[i].Detected.Hits+200 {
				return false
			}
		}
		return len(now.Warnings()) == 0
	})

	// The truth on disk says the same as what was counted as it was written.
	d.stop(t)
	_, err = d.network.StopIDS(t.Context())
	must(t, err)
	s, err := score.Run(t.Context(), score.Options{
		Truth: filepath.Join(d.cfg.State.Dir, truthDir), Sources: []score.Source{{Name: "edge", Kind: "suricata", Paths: []string{renamed, copied, d.network.EVE()}}},
	})
	must(t, err)
	for _, g := range s.Sensors[0].Signatures {
		for _, on := range g.Fired {
			if !slices.Contains(lab.Flagged(), on.Label) {
				t.Errorf("signature %s fired on %d flows of %s", g.ID, on.Flows, on.Label)
			}
		}
	}
}

// mustShow looks for a text in the page's part about sensors, in a browser.
func mustShow(t *testing.T, want string) {
	t.Helper()
	b := webtest.New(t)
	defer b.Close()
	b.Open(pageURL)
	b.Until("the page lacks "+want, func() bool { return strings.Contains(b.Text("#ids"), want) })
}
