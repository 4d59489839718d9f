// Package systemtest installs the packages on a Debian machine whose systemd was really booted,
// beside real clients and servers, and does there what a person would: the README's commands, an
// upgrade, a removal. It has nothing but tests.
package systemtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pacgan-appliance/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// top is the repository, tree the machine's file system, which scripts/systree.sh makes.
const (
	top  = "../.."
	tree = top + "/build/systree"
)

// requireTree skips a test where it must not, or cannot, boot a machine.
func requireTree(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a machine")
	}
	labtest.RequireRoot(t)
	if _, err := os.Stat(filepath.Join(tree, "etc/debian_version")); err != nil {
		if os.Getenv("PACGAN_REQUIRE_ROOT") == "1" {
			t.Fatalf("no machine to boot: run make systree first: %v", err)
		}
		t.Skip("no machine to boot: make systree makes it")
	}
}

// machine is a booted Debian whose network is the test's own, the gateway's. What it writes is in
// memory, and gone with it.
type machine struct {
	t   *testing.T
	pid string // of its pid 1, here
}

func mustBoot(t *testing.T) *machine {
	t.Helper()
	abs, err := filepath.Abs(tree)
	must(t, err)
	log, err := os.Create(filepath.Join(t.TempDir(), "boot.log"))
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	cmd := exec.Command("systemd-nspawn", "-q", "-b", "-D", abs, "-M", fmt.Sprintf("pacgan-%d", time.Now().UnixNano()),
		"--volatile=overlay", "--register=no", "--keep-unit", "--console=pipe", "--link-journal=no",
		"--resolv-conf=off", "--timezone=off", "--network-namespace-path=/proc/self/ns/net",
		"--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_NET_RAW", "--system-call-filter=bpf perf_event_open")
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // pid 1 of the machine, and all below it, go with nspawn
		_ = cmd.Wait()
	})
	m := &machine{t: t}
	eventually(t, "the machine does not boot", func() bool {
		m.pid = initBelow(cmd.Process.Pid)
		if m.pid == "" {
			return false
		}
		state, _ := m.try("systemctl is-system-running") // fails for all but "running"
		return state == "running" || state == "degraded"
	})
	if failed := m.run("systemctl list-units --failed --plain --no-legend"); failed != "" {
		t.Fatalf("the machine boots with failed units:\n%s", failed)
	}
	return m
}

var isInit = regexp.MustCompile(`(?m)^NSpid:.*\s1$`)

// initBelow is the child of a process that is pid 1 of its own pid namespace; "" while there is none.
func initBelow(parent int) string {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		return ""
	}
	for _, pid := range strings.Fields(string(children)) {
		if status, err := os.ReadFile("/proc/" + pid + "/status"); err == nil && isInit.Match(status) {
			return pid
		}
	}
	return ""
}

// try runs a command of the shell as root, in /root, and returns what it printed.
func (m *machine) try(command string) (string, error) {
	cmd := exec.CommandContext(m.t.Context(), "nsenter", "-t", m.pid, "-m", "-u", "-i", "-n", "-p", "-r", "-w",
		"/bin/sh", "-c", "cd /root && "+command)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run is try for a command that has to succeed. What the daemon logged comes with a failure.
func (m *machine) run(command string) string {
	m.t.Helper()
	out, err := m.try(command)
	if err != nil {
		journal, _ := m.try("journalctl -u pacgan-appliance -n 40 --no-pager -o cat")
		m.t.Fatalf("%s: %v\n%s\njournal:\n%s", command, err, out, journal)
	}
	return out
}

// path is where a file of the machine is, here: --volatile hides what it writes from the tree.
func (m *machine) path(path string) string { return "/proc/" + m.pid + "/root" + path }

func (m *machine) exists(path string) bool {
	_, err := os.Lstat(m.path(path))
	return err == nil
}

func (m *machine) read(path string) string {
	m.t.Helper()
	b, err := os.ReadFile(m.path(path))
	must(m.t, err)
	return string(b)
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	must(m.t, os.WriteFile(m.path(path), []byte(text), 0o644))
}

// edit replaces parts of a file, each of which has to be there once.
func (m *machine) edit(path string, oldNew ...string) {
	m.t.Helper()
	text := m.read(path)
	for i := 0; i < len(oldNew); i += 2 {
		if n := strings.Count(text, oldNew[i]); n != 1 {
			m.t.Fatalf("%s has %q %d times, want once:\n%s", path, oldNew[i], n, text)
		}
		text = strings.Replace(text, oldNew[i], oldNew[i+1], 1)
	}
	m.write(path, text)
}

// property is what systemd says of the daemon's unit.
func (m *machine) property(name string) string {
	m.t.Helper()
	return m.run("systemctl show pacgan-appliance --value -p " + name)
}

// number is a property that is one.
func (m *machine) number(name string) int {
	m.t.Helper()
	n, err := strconv.Atoi(m.property(name))
	must(m.t, err)
	return n
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// eventually polls until ok, for as long as a busy machine may take.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New(what))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-tick.C:
		}
	}
}
