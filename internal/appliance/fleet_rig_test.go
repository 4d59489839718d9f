package appliance

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/hubpage"
	"pacgan-appliance/internal/web/webtest"
)

// hubRun is a hub in a process of its own: TLS, accounts and keys as "hub init" makes them.
type hubRun struct {
	dir, url string
	cmd      *exec.Cmd // nil: it was killed
	stderr   lockedBuffer
	conn     *nats.Conn // the hub's own, as an administrator has it
	js       jetstream.JetStream
	key      nkeys.KeyPair
}

// mustHubRun starts a hub for some members in the test's own network.
func mustHubRun(t *testing.T, gateways, trainers []string) *hubRun {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	h := &hubRun{dir: filepath.Join(t.TempDir(), "hub"), url: fmt.Sprintf("tls://127.0.0.1:%d", port)}
	must(t, hub.Init(h.dir, hub.Plan{Hosts: []string{"127.0.0.1", hubAddress}, Port: port, Gateways: gateways, Trainers: trainers}))
	h.key, err = fleet.LoadKey(filepath.Join(h.dir, hub.KeyFile))
	must(t, err)
	h.start(t)
	t.Cleanup(func() {
		if h.cmd != nil {
			h.kill(t)
		}
		if t.Failed() {
			t.Logf("the hub said:\n%s", &h.stderr)
		}
	})
	log, err := newLogger(&h.stderr, nil)
	must(t, err)
	h.conn, err = fleet.Connect(fleet.Options{URL: h.url, Name: hubName, Key: filepath.Join(h.dir, hub.KeyFile), CA: filepath.Join(h.dir, hub.CAFile), Log: log})
	must(t, err)
	t.Cleanup(h.conn.Close)
	h.js, err = jetstream.New(h.conn)
	must(t, err)
	eventually(t, "the hub has no streams", func() bool {
		_, err := h.js.KeyValue(t.Context(), fleet.DesiredBucket)
		return err == nil
	})
	return h
}

func (h *hubRun) start(t *testing.T) {
	t.Helper()
	page := noPage
	if os.Getenv(screenshots) != "" {
		page = hubpage.DefaultAddress
	}
	h.cmd = exec.Command("/proc/self/exe", "hub", "--config", filepath.Join(h.dir, hub.ConfigFile), "--watch", "3s", "--page", page)
	h.cmd.Env = append(os.Environ(), asProgram+"=1", "NOTIFY_SOCKET=")
	h.cmd.Stderr = &h.stderr
	must(t, h.cmd.Start())
}

// kill is kill -9, as a power failure is.
func (h *hubRun) kill(t *testing.T) {
	t.Helper()
	must(t, h.cmd.Process.Signal(syscall.SIGKILL))
	_ = h.cmd.Wait() // says that it was killed
	h.cmd = nil
}

// join has a gateway's config name the hub, as its member's directory does.
func (h *hubRun) join(name string) func(*config.Config) {
	return func(c *config.Config) {
		c.Fleet = config.Fleet{
			URL: h.url, Name: name, Key: filepath.Join(h.dir, "members", name, "member.nk"), Hub: mustPublic(h.key), CA: filepath.Join(h.dir, hub.CAFile), Train: config.FleetTrainFleet,
		}
	}
}

// voice is the hub's.
func (h *hubRun) voice(t *testing.T) fleet.Voice {
	t.Helper()
	members, err := hub.ReadMembers(filepath.Join(h.dir, hub.AccountsFile))
	must(t, err)
	return fleet.Voice{Conn: h.conn, Key: h.key, Keys: members.Key}
}

func mustPublic(key nkeys.KeyPair) string {
	public, err := key.PublicKey()
	if err != nil {
		panic(err)
	}
	return public
}

// desire says what a gateway ought to do, and returns the revision.
func (h *hubRun) desire(t *testing.T, name string, d fleet.Desired) uint64 {
	t.Helper()
	kv, err := h.js.KeyValue(t.Context(), fleet.DesiredBucket)
	must(t, err)
	revision, err := fleet.ChangeDesired(t.Context(), kv, h.key, name, func(now *fleet.Desired) bool {
		d.Serial = now.Serial
		*now = d
		return true
	})
	must(t, err)
	return revision
}

// beat is a member's last; false: there is none.
func (h *hubRun) beat(t *testing.T, name string) (fleet.Beat, bool) {
	t.Helper()
	kv, err := h.js.KeyValue(t.Context(), fleet.BeatBucket)
	if err != nil {
		return fleet.Beat{}, false // just back
	}
	e, err := kv.Get(t.Context(), name)
	if err != nil {
		return fleet.Beat{}, false
	}
	b, err := fleet.OpenBeat(h.voice(t).Keys, name, e.Value())
	must(t, err)
	return b, true
}

// tell has gateways pause or resume, and wants all of them to have done so within a second.
func (h *hubRun) tell(t *testing.T, action string, gateways ...string) {
	t.Helper()
	told, err := fleet.Tell(t.Context(), h.voice(t), fleet.ControlAll, fleet.Control{Action: action, By: "test"}, gateways, fleet.AnswerWithin)
	must(t, err)
	if len(told.Silent) > 0 || len(told.Failed()) > 0 {
		t.Errorf("%s: %+v", action, told)
	}
}

// truth is what the hub has of a gateway's truth: all lines, in its order.
func (h *hubRun) truth(t *testing.T, name string) []string {
	t.Helper()
	stream, err := h.js.Stream(t.Context(), fleet.TruthStream)
	must(t, err)
	info, err := stream.Info(t.Context())
	must(t, err)
	var lines []string
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		must(t, err)
		if m.Subject == fleet.TruthSubject(name) {
			lines = append(lines, linesOf(m.Data)...)
		}
	}
	return lines
}

// mustHaveAll waits until nothing is left to hand over, and wants the hub to have exactly what is in the gateway's
// directory: each record, once, in the same order.
func (h *hubRun) mustHaveAll(t *testing.T, d *running, name string) {
	t.Helper()
	var want, got []string
	eventually(t, "truth is not handed over", func() bool {
		s := d.status(t)
		if s.All.Inflight > 0 || s.Fleet.Spool.Bytes > 0 {
			return false
		}
		want = recordLines(t, truthDirOf(d.cfg))
		got = h.truth(t, name)
		return uint64(len(want)) >= s.All.Generated && slices.Equal(want, got)
	})
	t.Logf("%d records of %s", len(got), name)
}

// recordLines are the lines of a truth directory.
func recordLines(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	must(t, err)
	slices.Sort(files)
	var lines []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		lines = append(lines, linesOf(text)...)
	}
	return lines
}

func linesOf(text []byte) []string {
	text = bytes.TrimSuffix(text, []byte{'\n'})
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// away is how long the hub is away: PACGAN_FLEET_AWAY, or 20 s.
func away(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("PACGAN_FLEET_AWAY")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

// shoot makes the README's picture of the hub's page, where pictures are made: of gateways that have injected for some seconds.
func (h *hubRun) shoot(t *testing.T, gateways ...string) {
	t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	wait(t.Context(), 10*time.Second)
	b := webtest.New(t)
	b.Resize(1280, 800)
	b.Colours("light")
	b.Open("http://" + hubpage.DefaultAddress)
	b.Until("the page does not show the gateways", func() bool {
		shown := b.Text("#gateways")
		return !slices.ContainsFunc(gateways, func(name string) bool { return !strings.Contains(shown, name) })
	})
	must(t, os.WriteFile(filepath.Join(dir, "hub.png"), b.Screenshot(false), 0o644))
	b.Close()
}
