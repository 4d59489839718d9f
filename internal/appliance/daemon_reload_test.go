package appliance

import (
	"net/netip"
	"os"
	"reflect"
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
	d.write(t, func(c *config.Config) {
		c.Safety.Allow, c.Safety.MaxRate, c.Inject.Rate.PerSecond = []netip.Prefix{resolvers}, 800, 800
		c.Labels[1].Share, c.Train.Schedule, c.Train.MinPackets = 3, "@every 1h", 301
	})
	d.mustDo(t, "reloaded: safety.allow, safety.max_rate, label.share, train.schedule, train.min_packets, inject.rate changed", "reload")
	sent := packetsOut(t)
	if len(sent) == 0 {
		t.Error("no packet leaves any more")
	}
	for _, to := range sent {
		if !resolvers.Contains(to) {
			t.Fatalf("a packet for %s left after the reply", to)
		}
	}
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
	if n := len(packetsOut(t)); n > 0 {
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
		{"one restart", func(c *config.Config) { c.Gateway.WAN = "wan1" }, "gateway.wan changed, which needs a restart"},
		{"all or nothing", func(c *config.Config) {
			c.Inject.Rate.PerSecond, c.Labels[0].Filter, c.State.Dir = 5, "icmp", "/tmp/elsewhere"
		}, "label, state.dir changed, which need a restart"},
		{"not possible", func(c *config.Config) { c.Inject.Source = config.SourceCapture },
			`inject.source "capture": this version injects from a model only`},
		{"IPv6", func(c *config.Config) { c.Safety.Allow = []netip.Prefix{netip.MustParsePrefix("fd00::/8")} },
			"allow-list: prefix fd00::/8 is not IPv4"},
	}
	for _, tt := range tests {
		d.cfg = good
		d.cfg.Labels = slices.Clone(good.Labels)
		d.write(t, tt.edit)
		d.mustRefuse(t, "reload: "+tt.want+": the old config stays in force", "reload")
	}
	mustWrite(t, d.config, "[gatewy]\n")
	d.mustRefuse(t, `reload: DIR/config.toml:1: unknown section "gatewy": known are gateway, safety, label, train, inject, state, web, ids; `+
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

// TestSettingsAreWhole changes each field of a config alone, and expects that
// exactly one setting sees it: none is forgotten, now or later.
func TestSettingsAreWhole(t *testing.T) {
	parse := func() config.Config {
		cfg, err := config.Parse("config.toml", []byte(goodConfig))
		must(t, err)
		return cfg
	}
	var visit func(name string, field func(*config.Config) reflect.Value)
	visit = func(name string, field func(*config.Config) reflect.Value) {
		cfg := parse()
		v := field(&cfg)
		inner := v.Kind() == reflect.Struct && v.NumField() > 0 && v.Type().Field(0).IsExported()
		if v.Kind() == reflect.Slice && name == "Labels" {
			visit("Labels[0]", func(c *config.Config) reflect.Value { return field(c).Index(0) })
			return
		}
		if inner {
			for i := range v.NumField() {
				visit(name+"."+v.Type().Field(i).Name, func(c *config.Config) reflect.Value { return field(c).Field(i) })
			}
			return
		}
		mustChange(t, name, v)
		live, restart := changes(parse(), cfg)
		if n := len(live) + len(restart); n != 1 {
			t.Errorf("%s: seen by %d settings: %v %v", name, n, live, restart)
		}
	}
	whole := reflect.TypeFor[config.Config]()
	for i := range whole.NumField() {
		visit(whole.Field(i).Name, func(c *config.Config) reflect.Value { return reflect.ValueOf(c).Elem().Field(i) })
	}
}

// mustChange gives a field another value.
func mustChange(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		if v.Len() > 0 {
			v.SetLen(v.Len() - 1)
		} else {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
	case reflect.Struct:
		v.SetZero()
	default:
		t.Fatalf("%s: a field of kind %v: teach the test to change it", name, v.Kind())
	}
}

func TestTimetable(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)
	var table timetable
	due := func(text string, at time.Time) bool {
		t.Helper()
		due, err := table.due(text, at)
		must(t, err)
		return due
	}
	steps := []struct {
		name string
		text string
		at   time.Time
		want bool
	}{
		{"start", "0 */6 * * *", noon, false},
		{"before", "0 */6 * * *", noon.Add(6*time.Hour - time.Second), false},
		{"due", "0 */6 * * *", noon.Add(6 * time.Hour), true},
		{"due until it is done", "0 */6 * * *", noon.Add(7 * time.Hour), true},
		{"another schedule", "@every 1h", noon.Add(7 * time.Hour), false},
		{"due by it", "@every 1h", noon.Add(8 * time.Hour), true},
		{"never", "0 0 31 2 *", noon.Add(8 * time.Hour), false},
		{"never, later", "0 0 31 2 *", noon.Add(10_000 * time.Hour), false},
	}
	for _, step := range steps {
		if got := due(step.text, step.at); got != step.want {
			t.Errorf("%s: due %v, want %v", step.name, got, step.want)
		}
	}
	due("@every 1h", noon)
	table.restart(noon.Add(time.Hour))
	if due("@every 1h", noon.Add(90*time.Minute)) {
		t.Error("due although a training has just ended")
	}
	_, err := table.due("sometimes", noon)
	if want := "train.schedule: expected exactly 5 fields, found 1: [sometimes]"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
