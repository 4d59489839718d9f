package appliance

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// manager is a service manager's end of the notification socket (sd_notify(3)).
type manager struct {
	mu        sync.Mutex
	ready     bool
	last      string // the last STATUS
	reloads   int    // RELOADING=1, each followed by READY=1
	watchdogs int    // WATCHDOG=1
}

func mustManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	t.Setenv("NOTIFY_SOCKET", path)
	m := &manager{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return // closed
			}
			m.hear(string(buf[:n]))
		}
	}()
	return m
}

func (m *manager) hear(state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case state == "READY=1":
		m.ready = true
	case state == "WATCHDOG=1":
		m.watchdogs++
	case reloading.MatchString(state):
		m.ready = false
		m.reloads++
	}
	if status, ok := strings.CutPrefix(state, "STATUS="); ok {
		m.last = status
	}
}

func (m *manager) state() (ready bool, status string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ready, m.last
}

// reloading is what Type=notify-reload wants (systemd.service(5)).
var reloading = regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`)

var injecting = regexp.MustCompile(`^injecting 500/s, [0-9.]+ % answered \(([0-9,]+) of [0-9,]+\), model [0-9]+ (s|min) old$`)

// answered is the number of answered packets that the status tells.
func (m *manager) answered() int {
	_, status := m.state()
	found := injecting.FindStringSubmatch(status)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if err != nil {
		return 0
	}
	return n
}

// TestDaemon starts the daemon as systemd does, on a gateway between real
// clients and servers: it says what it waits for, trains, injects, ends in
// order, and goes on from its model when it is started again.
func TestDaemon(t *testing.T) {
	labtest.RequireRoot(t)
	network, err := lab.New(lab.Options{Servers: lab.Embedded, Seed: 3})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	o := labOptions{labels: lab.Labels(), rate: 500, recipe: "tree"}
	state := filepath.Join(t.TempDir(), "state")
	cfg, _, err := o.config(state)
	must(t, err)
	cfg.Train.MinPackets = 300
	text, err := cfg.Dump()
	must(t, err)
	path := mustWrite(t, filepath.Join(t.TempDir(), "config.toml"), string(text))

	t.Setenv(asProgram, "1")
	for _, start := range []string{"first", "second"} {
		m := mustManager(t)
		var stderr lockedBuffer
		cmd := exec.Command("/proc/self/exe", "run", "-c", path)
		cmd.Stderr = &stderr
		must(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // ended already where the test passes
		eventually(t, "READY=1 does not come", func() bool { ready, _ := m.state(); return ready })
		if start == "first" {
			eventually(t, "the status does not say what is missing", func() bool {
				_, status := m.state()
				return status == "capturing: ping 0 of 300, dns 0 of 300, http 0 of 300 packets"
			})
			for _, label := range lab.Labels() {
				must(t, network.Traffic(t.Context(), label, 400, nil))
			}
		}
		begin := 0 // what is heard first: counts go on over a restart
		eventually(t, start+" start: no packet is answered", func() bool {
			now := m.answered()
			if begin == 0 {
				begin = now
			}
			return now > begin+100
		})
		mustAgree(t, path)
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s start: %v after SIGTERM\n%s", start, err, stderr.String())
		}
		if _, err := net.InterfaceByName("inj0"); err == nil {
			t.Errorf("%s start: the injection cable is still there", start)
		}
	}
	if link, err := os.Readlink(filepath.Join(state, modelsDir, "current")); err != nil || link == "" {
		t.Errorf("no model is promoted: %q, %v", link, err)
	}
}
