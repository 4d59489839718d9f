package appliance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/model"
)

// mustIdle is a daemon that injects 50 packets a second from a GAN's model and
// does nothing else, beside serving nobody.
func mustIdle(t *testing.T) *running {
	t.Helper()
	d := mustDaemon(t, nil)
	d.train(t)
	d.stop(t)
	// In a process of its own, as the daemon does it: training takes memory.
	out, err := exec.Command("/proc/self/exe", "train", "--state", d.cfg.State.Dir, "--recipe", "gan", "--steps", "20").Output()
	must(t, err)
	dir := strings.TrimSpace(strings.TrimPrefix(string(out), "model "))
	must(t, model.Promote(filepath.Join(d.cfg.State.Dir, modelsDir), filepath.Base(dir)))
	d.write(t, func(c *config.Config) { c.Inject.Rate.PerSecond, c.Web = 50, config.Default().Web })
	d.ended = false
	d.start(t)
	before := d.status(t).All.Answered
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > before+100 })
	return d
}

// rss is a process's resident memory in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			must(t, err)
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in /proc")
	return 0
}

// cpu is the processor time that a process has taken.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	var clock unix.Timespec
	id := int32(^pid<<3 | 2) // CPUCLOCK_SCHED of a process (clock_getcpuclockid(3))
	must(t, unix.ClockGettime(id, &clock))
	return time.Duration(clock.Nano())
}

// idleWindow is how long an idle daemon is looked at.
const idleWindow = 15 * time.Second

// TestIdleMemory is the promise of under 80 MiB at 50 packets a second from a
// model. The processor's share is written down, since other work disturbs it.
func TestIdleMemory(t *testing.T) {
	withoutRace(t) // which multiplies memory
	d := mustIdle(t)
	pid := d.cmd.Process.Pid
	start := d.status(t)
	began, before := time.Now(), cpu(t, pid)
	wait(t.Context(), idleWindow) // asking all the time would be work
	share := 100 * (cpu(t, pid) - before).Seconds() / time.Since(began).Seconds()
	const limit = 80 << 20
	got := rss(t, pid)
	t.Attr("idle_core", fmt.Sprintf("%.2f", share)) // make bench records them
	t.Attr("idle_memory", fmt.Sprintf("%.1f", float64(got)/(1<<20)))
	if got > limit {
		t.Errorf("%.1f MiB resident, at most 80 are promised", float64(got)/(1<<20))
	}
	s := d.status(t)
	if s.All.Generated < start.All.Generated+100 {
		t.Errorf("%d packets in %v: nothing was measured", s.All.Generated-start.All.Generated, idleWindow)
	}
	if s.Rate != 50 || string(s.Model.Recipe) != "gan" {
		t.Errorf("rate %g, recipe %s: another thing was measured", s.Rate, s.Model.Recipe)
	}
}
