package appliance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/lab"
)

// TestMemberNames holds the config's names of members against the fleet's.
func TestMemberNames(t *testing.T) {
	const text = "[gateway]\nlan = \"a\"\nwan = \"a\"\n[[label]]\nname = \"a\"\nfilter = \"ip\"\n[fleet]\nurl = \"nats://hub\"\nkey = \"/k\"\nhub = \"UA5WUJ54Z23KILLCUOUNAKTPBVZWKMQVO4O6EQ5GHLAERIMLLHNCTYM5\"\nname = %q\n"
	for _, name := range []string{"lab-a", "a", "9", "all", "A", "a.b", "a*", ">", "-a", "a-", "a--b", strings.Repeat("x", 32), strings.Repeat("x", 33)} {
		_, err := config.Parse("config.toml", fmt.Appendf(nil, text, name))
		if want := fleet.CheckName(name); (err == nil) != (want == nil) {
			t.Errorf("name %q: %v, and the fleet says: %v", name, err, want)
		}
	}
}

// sockets are the daemon's of a kind: of /proc/PID/net/KIND those that it holds, as "local remote state" in hexadecimal.
func (d *running) sockets(t *testing.T, kind string) []string {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", d.cmd.Process.Pid)
	held := map[string]bool{}
	fds, err := os.ReadDir(proc + "/fd")
	must(t, err)
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(proc, "fd", fd.Name()))
		if err == nil { // else closed meanwhile
			held[to] = true
		}
	}
	table, err := os.ReadFile(proc + "/net/" + kind)
	must(t, err)
	var out []string
	for _, line := range strings.Split(string(table), "\n") {
		if f := strings.Fields(line); len(f) > 9 && held["socket:["+f[9]+"]"] {
			out = append(out, strings.Join(f[1:4], " "))
		}
	}
	return out
}

// TestNoFleet wants a daemon without [fleet] to have no socket but the page's, and no task, and one with it to have one.
func TestNoFleet(t *testing.T) {
	d := mustDaemon(t, nil)
	alone := d.sockets(t, "tcp")
	if len(alone) != 1 || !strings.HasSuffix(alone[0], " 00000000:0000 0A") { // listens
		t.Errorf("TCP sockets %q, want the page's alone", alone)
	}
	for _, kind := range []string{"udp", "tcp6", "udp6"} {
		if got := d.sockets(t, kind); len(got) > 0 {
			t.Errorf("%s sockets %q", kind, got)
		}
	}
	s := d.status(t)
	for _, task := range s.Tasks {
		if task.Name == "fleet" {
			t.Error("there is a task of a fleet")
		}
	}
	if _, err := os.Stat(filepath.Join(d.cfg.State.Dir, fleetDir)); s.Fleet != nil || !os.IsNotExist(err) {
		t.Errorf("fleet %+v, its directory: %v", s.Fleet, err)
	}
	d.mustStopSoon(t)
	h := mustHubRun(t, []string{"lab-a"}, nil)
	d.write(t, h.join("lab-a"))
	d.start(t)
	eventually(t, "no connection to the hub", func() bool { return d.status(t).Fleet.Connected && len(d.sockets(t, "tcp")) == 2 })

	h.kill(t)
	d.mustStopSoon(t)
	d.start(t) // without a hub
	if f := d.status(t).Fleet; f.Connected || f.URL != h.url {
		t.Errorf("fleet %+v", f)
	}
	d.mustStopSoon(t)
	must(t, os.WriteFile(filepath.Join(h.dir, "members", "lab-a", "member.nk"), []byte("SUANOTASEED\n"), 0o600))
	got := run(t, "run", "-c", d.config)
	if got.Code != ExitFailed || strings.Count(got.Stderr, "fleet.key") != 1 {
		t.Errorf("with a bad key: %+v", got)
	}
}

// TestFleet is a gateway of a hub: its truth arrives whatever becomes of the hub, it does what the hub desires within its
// own bounds, and pauses when it is told.
func TestFleet(t *testing.T) {
	withoutRace(t)
	h := mustHubRun(t, []string{"lab-a", "lab-b"}, nil)
	d := mustDaemon(t, h.join("lab-a"))
	d.train(t)
	eventually(t, "the hub hears nothing", func() bool {
		b, ok := h.beat(t, "lab-a")
		return ok && b.Role == fleet.Gateway && b.State == "injecting" && b.ModelSHA256 != "" && b.Spool.Sent > 0 && len(b.Labels) == 3
	})

	t.Run("pause", func(t *testing.T) {
		eventually(t, "no answer", func() bool {
			told, err := fleet.Tell(t.Context(), h.voice(t), fleet.ControlSubject("lab-a"), fleet.Control{Action: fleet.Resume}, []string{"lab-a"}, fleet.AnswerWithin)
			return err == nil && len(told.Silent) == 0
		})
		w := mustWatchWire(t)
		wait(t.Context(), time.Second/2)
		asked := time.Now()
		h.tell(t, fleet.Pause, "lab-a")
		wait(t.Context(), 2*time.Second)
		w.mustHaveStopped(t, asked)
		h.mustHaveAll(t, d, "lab-a")
		h.tell(t, fleet.Resume, "lab-a")
	})
	d.checkDesired(t, h)
	d.mustStopSoon(t)
	if want := "no trainer answers: nats: no responders"; !strings.Contains(d.stderr.String(), want) {
		t.Errorf("that it trains for itself is not said: %s", want)
	}
	if n := strings.Count(d.stderr.String(), "is refused"); n != 1 {
		t.Errorf("the refusal is logged %d times", n)
	}
}

// checkDesired lays configs over the gateway's own.
func (d *running) checkDesired(t *testing.T, h *hubRun) {
	t.Helper()
	own := []string{lab.ServersNetwork().String()}
	allows := func(what string, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, d.status(t).Allow); diff != "" {
			t.Errorf("%s: allow-list (-want +got):\n%s", what, diff)
		}
	}
	narrow := h.desire(t, "lab-a", fleet.Desired{Config: "[safety]\nallow = [\"10.77.2.52/30\"]\nmax_rate = 400\n"})
	eventually(t, "the narrower config is not in force", func() bool { return d.status(t).Fleet.Applied == narrow })
	allows("narrower", []string{"10.77.2.52/30"})
	if s := d.status(t); s.Rate != 400 {
		t.Errorf("rate %g, want 400", s.Rate)
	}
	wide := h.desire(t, "lab-a", fleet.Desired{Config: "[safety]\nallow = [\"10.0.0.0/8\"]\n"})
	refused := &fleet.Refusal{Revision: wide, Reason: fmt.Sprintf(
		`desired revision %d:2: safety.allow "10.0.0.0/8": lies in no network of the gateway's own safety.allow, which others may only narrow`, wide)}
	eventually(t, "the wider config is not refused", func() bool {
		b, ok := h.beat(t, "lab-a")
		return ok && b.Refused != nil
	})
	b, _ := h.beat(t, "lab-a")
	if diff := cmp.Diff(refused, b.Refused); diff != "" || b.Applied != narrow {
		t.Errorf("applied %d; refused (-want +got):\n%s", b.Applied, diff)
	}
	allows("wider", []string{"10.77.2.52/30"})

	d.mustStopSoon(t)
	h.kill(t)
	d.start(t)
	allows("after a restart without the hub", []string{"10.77.2.52/30"})
	s := d.status(t)
	if diff := cmp.Diff(refused, s.Fleet.Refused); diff != "" || s.Fleet.Applied != narrow || s.Rate != 400 {
		t.Errorf("fleet %+v, rate %g; refused (-want +got):\n%s", s.Fleet, s.Rate, diff)
	}
	d.write(t, func(c *config.Config) { c.Train.MinPackets = 301 })
	d.mustDo(t, "reloaded; changed: train.min_packets", "reload")
	allows("after a reload", []string{"10.77.2.52/30"})

	h.start(t)
	none := uint64(0)
	eventually(t, "the hub does not come back", func() bool {
		_, err := h.js.KeyValue(t.Context(), fleet.DesiredBucket)
		return err == nil
	})
	none = h.desire(t, "lab-a", fleet.Desired{})
	eventually(t, "its own config is not in force", func() bool { return d.status(t).Fleet.Applied == none })
	allows("nothing desired", own)
	if s := d.status(t); s.Rate != 500 || s.Fleet.Refused != nil {
		t.Errorf("rate %g, fleet %+v", s.Rate, s.Fleet)
	}
}

// TestFleetWrongKeys: a gateway that comes with another's key, or with one that the hub does not know, is refused with one
// line, and goes on by itself.
func TestFleetWrongKeys(t *testing.T) {
	withoutRace(t)
	h := mustHubRun(t, []string{"lab-a", "lab-b"}, nil)
	key, err := nkeys.CreateUser()
	must(t, err)
	seed, err := key.Seed()
	must(t, err)
	unknown := mustWrite(t, filepath.Join(t.TempDir(), "key.nk"), string(seed))
	d := mustSetUp(t, h.join("lab-a"))
	for _, tt := range []struct{ key, want string }{
		{filepath.Join(h.dir, "members", "lab-b", "member.nk"), "the hub does not let this key act in this name: fleet.name or fleet.key is another member's"},
		{unknown, "Authorization Violation"},
	} {
		d.write(t, func(c *config.Config) { c.Fleet.Key = tt.key })
		d.stderr = &lockedBuffer{}
		d.start(t)
		eventually(t, "nothing is said", func() bool { return strings.Contains(d.stderr.String(), tt.want) })
		wait(t.Context(), 2*fleet.BeatInterval) // for what would say it again
		if d.status(t).Fleet.Connected {
			t.Errorf("%s: connected", tt.want)
		}
		said := d.stderr.String()
		if n := strings.Count(said, "level=WARN") + strings.Count(said, "level=ERROR"); n != 1 {
			t.Errorf("want one line: %s; got:\n%s", tt.want, said)
		}
		if b, ok := h.beat(t, "lab-a"); ok {
			t.Errorf("the hub has heard %+v", b)
		}
		d.mustStopSoon(t)
	}
}
