package hub_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

// TestInitFiles pins who may read what, and that nothing is overwritten.
func TestInitFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	plan := hub.Plan{Hosts: []string{"hub.test", "10.0.0.1"}, Port: 4222, Gateways: []string{"a"}, Trainers: []string{"t"}}
	must(t, hub.Init(dir, plan))
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		if info.Mode().Perm()&0o027 != 0 {
			t.Errorf("%s: mode %v", path, info.Mode())
		}
		return nil
	}))
	if err := hub.Init(dir, plan); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a second time: %v", err)
	}
	for member, trusts := range map[string]string{"a": "t", "t": "a"} {
		text, err := os.ReadFile(filepath.Join(dir, "members", member, "fleet.toml"))
		must(t, err)
		key, err := fleet.LoadKey(filepath.Join(dir, "members", trusts, "member.nk"))
		must(t, err)
		public, err := key.PublicKey()
		must(t, err)
		if !strings.Contains(string(text), "trust = [\""+public+"\"]") || !strings.Contains(string(text), `url = "tls://hub.test:4222"`) {
			t.Errorf("%s does not trust %s:\n%s", member, trusts, text)
		}
	}
}

// TestRefusedPlans pins what cannot be meant.
func TestRefusedPlans(t *testing.T) {
	for _, test := range []struct {
		name, want string
		plan       hub.Plan
	}{
		{"no host", "no host", hub.Plan{Port: 1}},
		{"host with port", `host "a:1"`, hub.Plan{Hosts: []string{"a:1"}, Port: 1}},
		{"no port", "port 0", hub.Plan{Hosts: []string{"a"}}},
		{"bad name", `name "A"`, hub.Plan{Hosts: []string{"a"}, Port: 1, Gateways: []string{"A"}}},
		{"twice", `name "a": is given twice`, hub.Plan{Hosts: []string{"a"}, Port: 1, Gateways: []string{"a"}, Trainers: []string{"a"}}},
		{"the hub's", `name "hub": is given twice, or is the hub's`, hub.Plan{Hosts: []string{"a"}, Port: 1, Gateways: []string{"hub"}}},
	} {
		dir := filepath.Join(t.TempDir(), "hub")
		if err := hub.Init(dir, test.plan); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: left files behind", test.name)
		}
	}
}

// said is a log that tests read.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestAddedLater has a member that was added come in once the hub has read its accounts again, and not before: until then,
// and for ever with a key that is nobody's, it is told so in one line.
func TestAddedLater(t *testing.T) {
	s := mustServe(t)
	_, err := hub.Add(s.dir, fleet.Gateway, "late")
	must(t, err)
	if _, err := hub.Add(s.dir, fleet.Trainer, "late"); err == nil || !strings.Contains(err.Error(), `there is a member "late" already`) {
		t.Errorf("added twice: %v", err)
	}
	stolen := filepath.Join(t.TempDir(), "stolen.nk")
	pair, err := nkeys.CreateUser()
	must(t, err)
	seed, err := pair.Seed()
	must(t, err)
	must(t, os.WriteFile(stolen, seed, 0o600))

	connect := func(name, key string) (*nats.Conn, *said) {
		log := new(said)
		c, err := fleet.Connect(fleet.Options{URL: s.url, Name: name, Key: key, CA: filepath.Join(s.dir, hub.CAFile), Log: slog.New(slog.NewTextHandler(log, nil))})
		must(t, err)
		t.Cleanup(c.Close)
		return c, log
	}
	c, log := connect("late", filepath.Join(s.dir, "members", "late", "member.nk"))
	wrong, wrongLog := connect("a", stolen)
	const refusal = "Authorization Violation"
	eventually(t, "no refusal in the log", func() bool {
		return strings.Contains(log.String(), refusal) && strings.Contains(wrongLog.String(), refusal)
	})
	s.hangups <- struct{}{}
	eventually(t, "the new member is not let in", c.IsConnected)
	eventually(t, "it has no bucket", func() bool {
		_, js, _ := s.connect(t, "hub")
		_, err := js.ObjectStore(t.Context(), fleet.DataBucket("late"))
		return err == nil
	})
	if wrong.IsConnected() {
		t.Error("a key that is nobody's is let in")
	}
	if n := strings.Count(wrongLog.String(), "\n"); n != 1 {
		t.Errorf("%d lines for one refusal:\n%s", n, wrongLog.String())
	}
}

// eventually waits for what a busy machine does late.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
