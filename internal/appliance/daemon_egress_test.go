package appliance

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/inject"
)

// queueOf is what tc says of the frames that wait to enter the cable.
func queueOf(t *testing.T) (sent, waiting int) {
	t.Helper()
	out, err := exec.Command("tc", "-s", "-j", "qdisc", "show", "dev", inject.DefaultNear).Output()
	must(t, err)
	var queues []struct {
		Packets, Qlen int
	}
	must(t, json.Unmarshal(out, &queues))
	if len(queues) != 1 {
		t.Fatalf("%d queues: %s", len(queues), out)
	}
	return queues[0].Packets, queues[0].Qlen
}

// TestStoppedDaemonSendsNothing: thousands of frames wait on the injection
// cable when the daemon is stopped as a hung one would be. The guard lets them
// out for two seconds, and then none, though they come; tcpdump is the witness.
// It is the guard at the far end: frames that meet the near one wait for nothing.
func TestStoppedDaemonSendsNothing(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	mustDetach(t, inject.DefaultNear)
	tc := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("tc", args...).CombinedOutput(); err != nil {
			t.Fatalf("tc %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tc("qdisc", "add", "dev", inject.DefaultNear, "root", "tbf", "rate", "160kbit", "burst", "2kb", "limit", "10mb")
	eventually(t, "no frames wait on the cable", func() bool { _, waiting := queueOf(t); return waiting > 2000 })
	if mustTcpdump(t, time.Second) == "" {
		t.Fatal("the witness sees nothing of a daemon that sends")
	}
	must(t, d.cmd.Process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { _ = d.cmd.Process.Signal(syscall.SIGCONT) })
	// The last that it did was at most now: what is on the wire from 2 s on ought not to be there.
	wait(t.Context(), 2*time.Second)
	before, waiting := queueOf(t)
	if waiting < 100 {
		t.Fatalf("%d frames wait still: too few to tell", waiting)
	}
	if seen := mustTcpdump(t, 2*time.Second); seen != "" {
		t.Errorf("left a stopped daemon's cable:\n%s", seen)
	}
	if after, _ := queueOf(t); after-before < 20 {
		t.Errorf("%d frames came to the guard meanwhile: too few to tell", after-before)
	}
	tc("qdisc", "del", "dev", inject.DefaultNear, "root")
	must(t, d.cmd.Process.Signal(syscall.SIGCONT))
	answered := d.status(t).All.Answered
	eventually(t, "the daemon does not go on", func() bool { return d.status(t).All.Answered > answered+100 })
	s := d.status(t)
	if s.Drops.Late == 0 || s.All.BlockedReasons[inject.ReasonStale] == 0 {
		t.Errorf("%d frames dropped as late, blocked %v", s.Drops.Late, s.All.BlockedReasons)
	}
	d.mustAddUp(t)
}

// mustTcpdump is what tcpdump says of the IP packets that leave the WAN
// interface in a time, each on a line.
func mustTcpdump(t *testing.T, d time.Duration) string {
	t.Helper()
	cmd := exec.Command("timeout", "-s", "INT", strconv.FormatFloat(d.Seconds(), 'f', -1, 64), "tcpdump", "-i", "wan0", "-n", "-Q", "out", "--immediate-mode", "ip")
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); err != nil && !ok || ok && exit.ExitCode() != 124 {
		t.Fatalf("tcpdump: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// mustAddUp waits for all verdicts, paused so that no packet is added, and
// checks the identity.
func (d *running) mustAddUp(t *testing.T) {
	t.Helper()
	d.do(t, "pause")
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	for _, l := range d.status(t).Labels {
		if l.accounted() != l.Generated {
			t.Errorf("label %s: %d generated, %d accounted for: %+v", l.Label, l.Generated, l.accounted(), l.Counts)
		}
	}
}

// TestPauseActsInTheKernel pauses in full swing, again and again: the last
// packet leaves before the reply and, in the middle of the times, within 10 ms
// of the request.
func TestPauseActsInTheKernel(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	var took []time.Duration
	for range 9 {
		answered := d.status(t).All.Answered
		eventually(t, "nothing is answered", func() bool { return d.status(t).All.Answered > answered+20 })
		w := mustWatchWire(t)
		wait(t.Context(), 50*time.Millisecond)
		asked := time.Now()
		_, err := d.client.Do(t.Context(), control.Pause)
		must(t, err)
		replied := time.Now()
		wait(t.Context(), 200*time.Millisecond)
		seen := w.stop(t)
		if len(seen) == 0 {
			t.Fatal("nothing was on the wire: too little to tell")
		}
		last := seen[len(seen)-1].at
		if last.After(replied) {
			t.Errorf("a packet left %v after the reply", last.Sub(replied))
		}
		took = append(took, last.Sub(asked))
		d.mustDo(t, "resumed", "resume")
	}
	slices.Sort(took)
	t.Logf("the last packet after the request: %v", took)
	if took[len(took)/2] > 10*time.Millisecond {
		t.Errorf("in the middle the last packet left %v after the request, want at most 10 ms", took[len(took)/2])
	}
	d.mustAddUp(t)
}
