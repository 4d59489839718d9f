package appliance

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
)

// TestReload changes the config of a daemon that injects 1,000 packets a
// second: what leaves after the reply is allowed, and every packet is counted.
func TestReload(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Safety.MaxRate, c.Inject.Rate.PerSecond = 1000, 1000 })
	d.train(t)
	resolvers := netip.MustParsePrefix("10.77.2.52/30")
	before := d.status(t)
	w := mustWatchWire(t)
	d.write(t, func(c *config.Config) {
		c.Safety.Allow, c.Safety.MaxRate, c.Inject.Rate.PerSecond = []netip.Prefix{resolvers}, 800, 800
		c.Labels[1].Share, c.Train.Schedule, c.Train.MinPackets = 3, "@every 1h", 301
	})
	d.mustDo(t, "reloaded; changed: safety.allow, safety.max_rate, label dns (share), train.schedule, train.min_packets, inject.rate", "reload")
	reloaded := time.Now()
	wait(t.Context(), time.Second)
	mustKeepWithin(t, w.stop(t), reloaded, resolvers)
	after := d.status(t)
	if diff := cmp.Diff([]string{resolvers.String()}, after.Allow); diff != "" || after.Rate != 800 {
		t.Errorf("rate %g, allow-list (-want +got):\n%s", after.Rate, diff)
	}
	if after.All.Generated <= before.All.Generated || after.Labels[0].Blocked == 0 || after.Labels[2].Blocked == 0 {
		t.Errorf("counts do not go on: %d generated before, after: %+v", before.All.Generated, after.All)
	}
	d.checkShares(t, after)
	d.mustDo(t, "paused: nothing is injected until resume", "pause")
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	for _, l := range d.status(t).Labels {
		if l.accounted() != l.Generated || l.Failed > 0 {
			t.Errorf("label %s: %d generated, %d accounted for, failed %v", l.Label, l.Generated, l.accounted(), l.FailedReasons)
		}
	}
	d.mustDo(t, "reloaded: nothing changed", "reload")
	if n := len(witnessSecond(t)); n > 0 {
		t.Errorf("a reload ended the pause: %d packets left", n)
	}
}

// checkShares waits for more packets and compares the labels' parts of them.
func (d *running) checkShares(t *testing.T, since Status) {
	t.Helper()
	var now Status
	eventually(t, "too few packets after the reload", func() bool {
		now = d.status(t)
		return now.All.Generated > since.All.Generated+1000
	})
	more := func(label int) float64 { return float64(now.Labels[label].Generated - since.Labels[label].Generated) }
	if ratio := more(1) / more(0); ratio < 2.9 || ratio > 3.1 {
		t.Errorf("label dns has %.2f times the packets of ping, want 3", ratio)
	}
}

// TestReloadLabels adds, removes and changes labels of a daemon that injects
// 1,000 packets a second: the model goes on with the labels that it has, another
// is trained once there is enough, and every packet is counted.
func TestReloadLabels(t *testing.T) {
	d := mustDaemon(t, func(c *config.Config) { c.Safety.MaxRate, c.Inject.Rate.PerSecond = 1000, 1000 })
	d.train(t)
	before := d.status(t)
	resolvers := netip.MustParsePrefix("10.77.2.52/30")
	w := mustWatchWire(t)
	d.write(t, func(c *config.Config) {
		ping, dns := c.Labels[0], c.Labels[1]
		ping.Share = 3
		queries := config.Label{Name: "queries", Filter: dns.Filter, Answer: config.AnswerDNS, RCodes: dns.RCodes, Share: 1}
		dns.Filter, dns.RCodes = "udp dst port 5353", []config.RCode{config.RCodeNoError, 3}
		c.Labels = []config.Label{queries, ping, dns}
		c.Safety.Allow, c.State.MaxBytes, c.Log.Level = []netip.Prefix{resolvers}, 64<<20, config.LogWarn
	})
	d.mustDo(t, "reloaded; changed: safety.allow, label queries (added), label ping (share), label dns (filter, accept), "+
		"label http (removed), state.max_bytes, log.level", "reload")
	reloaded := time.Now()
	after := d.status(t)
	if diff := cmp.Diff([]string{"queries", "ping", "dns", "http"}, labelsOf(after)); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if want := "; not trained: queries (0 of 300 packets)"; !strings.HasSuffix(after.Line, want) || after.State != stateInjecting {
		t.Errorf("status %q: want it to end in %q", after.Line, want)
	}
	d.checkGoesOn(t, before, after)
	mustKeepWithin(t, w.stop(t), reloaded, resolvers)

	d.write(t, func(c *config.Config) { c.Safety.Allow = []netip.Prefix{lab.ServersNetwork()} })
	d.mustDo(t, "reloaded; changed: safety.allow", "reload")
	must(t, d.network.Traffic(t.Context(), "dns", 400, nil)) // the first filter that matches is another's now
	eventually(t, "the new label is not trained and answered", func() bool {
		s := d.status(t)
		return s.Labels[0].Answered > 100 && !strings.Contains(s.Line, "not trained")
	})
	if stored := d.status(t).Capture.Labels[0]; stored.Label != "queries" || stored.Captured < 400 {
		t.Errorf("captured %+v, want 400 of queries", stored)
	}
	d.mustDo(t, "paused: nothing is injected until resume", "pause")
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	end := d.status(t)
	for _, l := range append(end.Labels, end.All) {
		if l.accounted() != l.Generated || l.Failed > 0 {
			t.Errorf("label %q: %d generated, %d accounted for, failed %v", l.Label, l.Generated, l.accounted(), l.FailedReasons)
		}
	}
	if end.Drops != (DropStatus{NotAllowed: end.Drops.NotAllowed}) {
		t.Errorf("drops %+v", end.Drops)
	}
}

func labelsOf(s Status) []string {
	var names []string
	for _, l := range s.Labels {
		names = append(names, l.Label)
	}
	return names
}

// checkGoesOn compares counts before and after http went: no count falls, and
// what stays is injected.
func (d *running) checkGoesOn(t *testing.T, before, after Status) {
	t.Helper()
	was := map[string]uint64{}
	for _, l := range before.Labels {
		was[l.Label] = l.Generated
	}
	for _, l := range after.Labels {
		if l.Generated < was[l.Label] {
			t.Errorf("label %s: %d generated after %d", l.Label, l.Generated, was[l.Label])
		}
	}
	var now Status
	eventually(t, "injection does not go on", func() bool {
		now = d.status(t)
		return now.All.Generated > after.All.Generated+1000
	})
	more := func(i int) uint64 { return now.Labels[i].Generated - after.Labels[i].Generated }
	if more(0) != 0 || more(3) > 0 || more(1) < 2*more(2) {
		t.Errorf("generated since: queries %d, ping %d, dns %d, http %d; want 0, three parts, one part, 0", more(0), more(1), more(2), more(3))
	}
}

// TestReloadIsTakenBack has a late step fail: the labels' places run out when
// the allow-list has been changed already.
func TestReloadIsTakenBack(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	good := d.cfg
	other := func(prefix string) func(*config.Config) {
		return func(c *config.Config) {
			c.Labels = slices.Clone(good.Labels[:1])
			for i := range 20 {
				c.Labels = append(c.Labels, config.Label{Name: fmt.Sprintf("%s%d", prefix, i), Filter: "udp", Answer: config.AnswerReply, Share: 1})
			}
		}
	}
	d.write(t, other("a"))
	d.mustDo(t, "reloaded; changed: "+strings.Join(changedLabels(good, d.cfg), ", "), "reload")
	d.write(t, func(c *config.Config) {
		other("b")(c)
		c.Safety.Allow = nil
	})
	d.mustRefuse(t, `reload: label "b9": no place of counts is left for a further label: restart: the old config stays in force`, "reload")
	s := d.status(t)
	if diff := cmp.Diff([]string{lab.ServersNetwork().String()}, s.Allow); diff != "" || len(s.Labels) != 21 || s.Labels[1].Label != "a0" {
		t.Errorf("labels %v, allow-list (-want +got):\n%s", labelsOf(s), diff)
	}
	d.cfg = good
	d.write(t, nil)
	if got := d.do(t, "reload"); got.Code != ExitDone {
		t.Fatalf("back to the first labels: %+v", got)
	}
	d.train(t)
}

func changedLabels(from, to config.Config) []string { return labelChanges(from.Labels, to.Labels) }

// TestReloadRefused leaves the old config in force, and says why in the reply
// and in the log.
func TestReloadRefused(t *testing.T) {
	d := mustDaemon(t, nil)
	good := d.cfg
	good.Labels = slices.Clone(good.Labels)
	tests := []struct {
		name string
		edit func(*config.Config)
		want string
	}{
		{"several restarts", func(c *config.Config) {
			c.Gateway.LAN, c.State.Dir, c.Web.Listen = "lan1", "/tmp/elsewhere", netip.AddrPort{}
		},
			"gateway.lan, state.dir, web.listen changed, which need a restart"},
		{"one restart", func(c *config.Config) { c.Gateway.WAN = "wan1" }, "gateway.wan changed, which needs a restart"},
		{"all or nothing", func(c *config.Config) {
			c.Inject.Rate.PerSecond, c.Labels[0].Filter, c.State.Dir = 5, "icmp", "/tmp/elsewhere"
		}, "state.dir changed, which needs a restart"},
		{"source", func(c *config.Config) { c.Inject.Source = config.SourceCapture }, "inject.source changed, which needs a restart"},
		{"no room", func(c *config.Config) { c.Safety.MaxRate = 1e6 },
			"safety.max_rate 1e+06: more than the table of expected replies has room for since the start, which needs a restart"},
		{"IPv4 in IPv6", func(c *config.Config) { c.Safety.Allow = []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")} },
			"allow-list: prefix ::ffff:10.0.0.0/104 is neither IPv4 nor IPv6"},
	}
	for _, tt := range tests {
		d.cfg = good
		d.cfg.Labels = slices.Clone(good.Labels)
		d.write(t, tt.edit)
		d.mustRefuse(t, "reload: "+tt.want+": the old config stays in force", "reload")
	}
	mustWrite(t, d.config, "[gatewy]\n")
	d.mustRefuse(t, `reload: DIR/config.toml:1: unknown section "gatewy": known are gateway, safety, capture, label, train, inject, state, truth, web, ids, fleet, log; `+
		`DIR/config.toml:1: gateway.lan is missing: the interface on the clients' side, such as "lan0"; `+
		`DIR/config.toml:1: gateway.wan is missing: the interface on the test servers' side, such as "wan0"; `+
		`DIR/config.toml:1: no [[label]]: at least one is needed, with a name and a filter: the old config stays in force`, "reload")
	must(t, os.Remove(d.config))
	d.mustRefuse(t, "reload: config DIR/config.toml: no such file or directory: the old config stays in force", "reload")
	s := d.status(t)
	if diff := cmp.Diff([]string{lab.ServersNetwork().String()}, s.Allow); diff != "" || s.Rate != 500 {
		t.Errorf("rate %g, allow-list (-want +got):\n%s", s.Rate, diff)
	}
	d.reloadBySignal(t, len(tests)+2)
}

// reloadBySignal sends SIGHUP after so many reloads, twice: for nothing, and
// with a change.
func (d *running) reloadBySignal(t *testing.T, reloads int) {
	t.Helper()
	hang := func(what string) {
		must(t, d.cmd.Process.Signal(syscall.SIGHUP))
		reloads++
		eventually(t, what, func() bool {
			d.manager.mu.Lock()
			defer d.manager.mu.Unlock()
			return d.manager.reloads == reloads && d.manager.ready
		})
	}
	hang("a refused SIGHUP is not told to systemd")
	if got := strings.Count(d.stderr.String(), `msg="config not reloaded: the old one stays in force"`); got != reloads {
		t.Errorf("%d refusals in the log, want %d:\n%s", got, reloads, d.stderr)
	}
	d.cfg.Gateway.WAN, d.cfg.Inject, d.cfg.Safety.Allow = lab.GatewayWAN, config.Default().Inject, nil
	d.write(t, func(c *config.Config) { c.Safety.Allow = []netip.Prefix{lab.ServersNetwork()} })
	hang("a SIGHUP is not told to systemd")
	if s := d.status(t); s.Rate != 50 {
		t.Errorf("rate %g after SIGHUP, want 50", s.Rate)
	}
}
