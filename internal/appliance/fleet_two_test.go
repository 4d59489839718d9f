package appliance

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/lab/labtest"
)

// The cable between the hub's network and that of a segment.
const (
	hubSide, segmentSide       = "hubcable", "segcable"
	hubAddress, segmentAddress = "10.99.0.1", "10.99.0.2"
)

// asSegment has TestSegment be a gateway: a segment, as JSON.
const asSegment = "PACGAN_TEST_SEGMENT"

// Files of a segment's directory.
const (
	injects  = "injects" // it does; the file has its truth directory
	watch    = "watch"   // it is to watch its wire
	watches  = "watches" // it does
	paused   = "paused"  // all were told to pause, at the time that the file has, and two seconds have passed
	wireIsOK = "wire"    // nothing has left more than a second after that, or its test has failed
	end      = "end"     // it is to end
)

// segment is a gateway of the hub's in a network of its own: another test process, in a sandbox of its own.
type segment struct {
	Network string       // file that the hub's network is mounted on
	Fleet   config.Fleet // of the gateway's config
	Dir     string       // where the two tell each other what is so, each with a file
}

// mustSegment starts a gateway on a segment of its own and connects it to the hub's network.
func (h *hubRun) mustSegment(t *testing.T, name string, trust ...string) *segment {
	t.Helper()
	s := &segment{Dir: t.TempDir(), Network: mustWrite(t, filepath.Join(t.TempDir(), "net"), "")}
	must(t, unix.Mount("/proc/self/ns/net", s.Network, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(s.Network, unix.MNT_DETACH)) })
	var c config.Config
	h.join(name)(&c)
	s.Fleet = c.Fleet
	s.Fleet.URL = strings.Replace(h.url, "127.0.0.1", hubAddress, 1)
	s.Fleet.Trust, s.Fleet.Train = trust, config.FleetTrainSelf
	text, err := json.Marshal(s)
	must(t, err)
	program, err := os.Executable()
	must(t, err)
	cmd := exec.Command(program, "-test.run", "^TestSegment$", "-test.v")
	// PACGAN_SANDBOX says that a process is in its sandbox; this one is to make another.
	cmd.Env = append(os.Environ(), asSegment+"="+string(text), raced+"=", "PACGAN_SANDBOX=")
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		mustWrite(t, filepath.Join(s.Dir, end), "")
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(out.String(), "--- PASS: TestSegment") {
				t.Errorf("the segment: %v\n%s", err, out)
			}
		case <-time.After(5 * time.Minute):
			t.Errorf("the segment does not end: %v\n%s", cmd.Process.Kill(), out)
		}
	})
	eventually(t, "the segment has no cable", func() bool { return pluggedIn(t, hubSide, hubAddress) })
	return s
}

// pluggedIn configures the end of the cable, once it is there.
func pluggedIn(t *testing.T, name, address string) bool {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false
	}
	must(t, err)
	to, err := netlink.ParseAddr(address + "/30")
	must(t, err)
	must(t, netlink.AddrReplace(link, to))
	must(t, netlink.LinkSetUp(link))
	return true
}

// TestSegment is the gateway of [hubRun.mustSegment], and no test by itself.
func TestSegment(t *testing.T) {
	text := os.Getenv(asSegment)
	if text == "" {
		t.Skip("is run by TestFleetOfTwo")
	}
	labtest.RequireRoot(t)
	var s segment
	must(t, json.Unmarshal([]byte(text), &s))
	network, err := os.Open(s.Network)
	must(t, err)
	defer network.Close()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: segmentSide}, PeerName: hubSide, PeerNamespace: netlink.NsFd(network.Fd())}))
	if !pluggedIn(t, segmentSide, segmentAddress) {
		t.Fatal("no cable")
	}
	d := mustDaemon(t, func(c *config.Config) { c.Fleet = s.Fleet })
	d.train(t)
	s.tell(t, injects, truthDirOf(d.cfg))
	if s.hear(t, watch, end) == watch {
		w := mustWatchWire(t)
		s.tell(t, watches, "")
		s.hear(t, paused)
		text, err := os.ReadFile(filepath.Join(s.Dir, paused))
		must(t, err)
		asked, err := time.Parse(time.RFC3339Nano, string(text))
		must(t, err)
		w.mustHaveStopped(t, asked)
		s.tell(t, wireIsOK, "")
		s.hear(t, end)
	}
	d.mustStopSoon(t)
}

// tell has the other side know something.
func (s *segment) tell(t *testing.T, what, text string) {
	t.Helper()
	aside := mustWrite(t, filepath.Join(s.Dir, "aside-"+what), text)
	must(t, os.Rename(aside, filepath.Join(s.Dir, what)))
}

// hear waits for one of some things that the other side tells.
func (s *segment) hear(t *testing.T, any ...string) (told string) {
	t.Helper()
	eventually(t, "not told: "+strings.Join(any, ", "), func() bool {
		for _, what := range any {
			if _, err := os.Stat(filepath.Join(s.Dir, what)); err == nil {
				told = what
				return true
			}
		}
		return false
	})
	return told
}

// truthDir is the segment's, once it injects.
func (s *segment) truthDir(t *testing.T) string {
	t.Helper()
	s.hear(t, injects)
	text, err := os.ReadFile(filepath.Join(s.Dir, injects))
	must(t, err)
	return string(text)
}

// mustStopBoth has both gateways pause, and wants nothing on either one's wire from a second later on.
func (h *hubRun) mustStopBoth(t *testing.T, other *segment) {
	t.Helper()
	w := mustWatchWire(t)
	other.tell(t, watch, "")
	other.hear(t, watches)
	wait(t.Context(), time.Second/2)
	asked := time.Now()
	h.tell(t, fleet.Pause, "lab-a", "lab-b")
	wait(t.Context(), 2*time.Second)
	w.mustHaveStopped(t, asked)
	other.tell(t, paused, asked.Format(time.RFC3339Nano))
	other.hear(t, wireIsOK)
}

// TestFleetOfTwo is what a fleet is for: a model that a trainer learned of one segment's clients is tried there,
// and then used on both; a hub that is killed and away costs no record; one call stops both.
func TestFleetOfTwo(t *testing.T) {
	withoutRace(t)
	labtest.RequireRoot(t)
	t.Setenv(asProgram, "1")
	h := mustHubRun(t, []string{"lab-a", "lab-b"}, []string{"big"})
	trainer := h.publicKey(t, "big")
	other := h.mustSegment(t, "lab-b", trainer)
	otherTruth := other.truthDir(t)
	h.startTrainer(t, "big")
	join := h.join("lab-a")
	d := mustDaemon(t, func(c *config.Config) {
		join(c)
		c.Fleet.Trust = []string{trainer}
	})
	d.train(t)

	var a, b fleet.Beat
	eventually(t, "the trainer's model is not used on both segments", func() bool {
		a, _ = h.beat(t, "lab-a")
		b, _ = h.beat(t, "lab-b")
		return a.Tried != nil && a.Tried.Promoted && b.Tried != nil && b.Tried.SHA256 == a.Tried.SHA256
	})
	if !b.Tried.Promoted {
		t.Errorf("lab-b: %+v", b.Tried)
	}
	eventually(t, "not the same model", func() bool {
		a, _ = h.beat(t, "lab-a")
		b, _ = h.beat(t, "lab-b")
		return a.ModelSHA256 == b.ModelSHA256 && a.Model != ""
	})
	h.shoot(t, "lab-a", "lab-b")

	h.kill(t)
	wait(t.Context(), away(t))
	h.start(t)
	eventually(t, "they do not come back", func() bool {
		sent := func(name string, before fleet.Beat) bool {
			now, ok := h.beat(t, name)
			return ok && now.Time.After(before.Time) && float64(now.OnWire-before.OnWire) > 250*away(t).Seconds() && now.Spool.Bytes < 1<<20
		}
		return sent("lab-a", a) && sent("lab-b", b)
	})
	h.mustStopBoth(t, other)
	h.mustHaveAll(t, d, "lab-a")
	var records, got []string
	eventually(t, "lab-b's truth is not handed over", func() bool {
		now, ok := h.beat(t, "lab-b")
		if !ok || now.State != "paused" || now.Spool.Bytes > 0 {
			return false
		}
		generated := 0
		for _, l := range now.Labels {
			if l.Inflight > 0 {
				return false
			}
			generated += int(l.Generated)
		}
		records, got = recordLines(t, otherTruth), h.truth(t, "lab-b")
		return len(records) >= generated && slices.Equal(records, got)
	})
	if float64(len(records)) < 250*away(t).Seconds() {
		t.Errorf("lab-b has %d records", len(records))
	}
	t.Logf("%d records of lab-b", len(records))
	d.mustStopSoon(t)
}
