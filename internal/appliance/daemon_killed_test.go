package appliance

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"pacgan-appliance/internal/lab"
)

// leftovers is what ip, tc and bpftool see of ours in this network namespace.
func leftovers(t *testing.T) string {
	t.Helper()
	var found strings.Builder
	for _, look := range []struct{ command, of string }{
		{"ip -o link", "inj"}, {"tc qdisc show", "clsact"}, {"bpftool net show", "wan0"}, {"bpftool net show", "lan0"},
	} {
		args := strings.Fields(look.command)
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", look.command, err, out)
		}
		if strings.Contains(string(out), look.of) {
			found.WriteString(look.command + ":\n" + string(out))
		}
	}
	return found.String()
}

// TestKilledDaemonLeavesNothing kills the daemon in the middle of injecting:
// clients work at once, nothing of it is left, and the next one starts.
func TestKilledDaemonLeavesNothing(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	if leftovers(t) == "" {
		t.Fatal("ip, tc and bpftool see nothing of a daemon that runs")
	}
	other := &running{stderr: &lockedBuffer{}, config: d.config}
	second := exec.Command("/proc/self/exe", "run", "-c", d.config)
	second.Stderr = other.stderr
	if err := second.Run(); err == nil || !strings.Contains(other.stderr.String(), errLocked.Error()) {
		t.Errorf("a second daemon beside it: %v\n%s", err, other.stderr)
	}
	must(t, d.cmd.Process.Signal(syscall.SIGKILL))
	_ = d.cmd.Wait() // says that it was killed
	d.ended = true
	for _, label := range lab.Labels() {
		ok, err := d.network.Client(t.Context(), label, 20)
		must(t, err)
		if ok != 20 {
			t.Errorf("%s: %d of 20 requests of a client are answered after the kill", label, ok)
		}
	}
	eventually(t, "something of the killed daemon stays", func() bool { return leftovers(t) == "" })
	d.start(t)
	d.stop(t)
	if left := leftovers(t); left != "" {
		t.Errorf("after an orderly end:\n%s", left)
	}
}
