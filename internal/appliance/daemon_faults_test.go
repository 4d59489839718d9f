package appliance

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/family"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/model"
)

// mustGoOn waits until more packets are answered.
func (d *running) mustGoOn(t *testing.T) {
	t.Helper()
	answered := d.status(t).All.Answered
	eventually(t, "nothing more is answered", func() bool { return d.status(t).All.Answered > answered+100 })
}

// TestDiskTakesNothing: the state's disk or quota fills up, or the disk becomes
// read only, under a daemon at work. It injects and verifies as before and says what it cannot
// do; once the disk takes files again it captures and trains again.
func TestDiskTakesNothing(t *testing.T) {
	withoutRace(t)
	for _, tt := range []struct {
		name, said string
		disk       func(t *testing.T, dir string)
		break_     func(t *testing.T, dir string) (mend func())
	}{
		{"full", "no space left on device", smallDisk, fillDisk(unix.ENOSPC)},
		{"quota", "disk quota exceeded", smallQuota, fillDisk(unix.EDQUOT)},
		{"read only", "read-only file system", smallDisk, coverDisk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := mustSetUp(t, func(c *config.Config) {
				c.State.MaxBytes = config.MinStateBytes // files of 256 KiB
				c.Truth.MaxBytes = config.MinTruthBytes // as long as the test may take, its records are not what fills the disk
			})
			must(t, os.MkdirAll(d.cfg.State.Dir, 0o750))
			tt.disk(t, d.cfg.State.Dir)
			d.start(t)
			d.train(t)
			first := d.status(t).Model.ID
			mend := tt.break_(t, d.cfg.State.Dir)
			eventually(t, "no packet is lost to the disk", func() bool {
				must(t, d.network.Traffic(t.Context(), "http", 2000, nil))
				return d.status(t).Drops.Disk > 0
			})
			d.mustGoOn(t)
			if s := d.status(t); !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "captured packets lost") }) {
				t.Errorf("status does not warn: %q", s.Warnings)
			}
			if !strings.Contains(d.stderr.String(), tt.said) {
				t.Errorf("the log does not say %q", tt.said)
			}
			d.do(t, "train", "now")
			eventually(t, "the training does not fail", func() bool { return d.status(t).TrainingError != "" })
			if s := d.status(t); s.Model.ID != first || s.State != stateInjecting {
				t.Errorf("state %s with model %s, want to inject from %s", s.State, s.Model.ID, first)
			}
			mend()
			stored := d.status(t).Capture.Stored
			eventually(t, "no packet is stored again", func() bool {
				must(t, d.network.Traffic(t.Context(), "http", 100, nil))
				return d.status(t).Capture.Stored > stored
			})
			eventually(t, "no model is trained again", func() bool {
				d.do(t, "train", "now")
				return d.status(t).Model.ID != first
			})
			d.mustAddUp(t)
			d.stop(t)
		})
	}
}

// mustRun runs a program on the gateway.
func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	labtest.RequireProgram(t, name)
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// mustIP runs ip(8) on the gateway.
func mustIP(t *testing.T, args string) {
	t.Helper()
	mustRun(t, "ip", strings.Fields(args)...)
}

// smallDisk mounts a disk of 24 MiB.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// smallQuota mounts a disk with room, of which 24 MiB may be used. It is btrfs:
// quotas of other file systems are left out of many kernels.
func smallQuota(t *testing.T, dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 256<<20))
	mustRun(t, "mkfs.btrfs", "--quiet", image)
	mustRun(t, "mount", "-o", "loop", image, dir)
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	mustRun(t, "btrfs", "quota", "enable", dir)
	mustRun(t, "btrfs", "qgroup", "limit", "24M", dir)
}

// fillDisk leaves no byte, and wants the kernel to say full.
func fillDisk(full syscall.Errno) func(t *testing.T, dir string) func() {
	return func(t *testing.T, dir string) func() {
		t.Helper()
		path := filepath.Join(dir, "somebody-elses")
		f, err := os.Create(path)
		must(t, err)
		block := make([]byte, 1<<16)
		for err == nil {
			_, err = f.Write(block)
		}
		if !errors.Is(err, full) {
			t.Fatal(err)
		}
		must(t, f.Close())
		return func() { must(t, os.Remove(path)) }
	}
}

// coverDisk makes everything below dir read only, but for files that are open:
// the kernel would refuse to remount these.
func coverDisk(t *testing.T, dir string) func() {
	t.Helper()
	must(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	return func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) }
}

// TestServersDieAndComeBack: the servers' machine vanishes, its ARP with it,
// and comes back. Packets are counted as what they are meanwhile, and there is
// no storm: never more on the wire than the rate and the guard's bound allow.
func TestServersDieAndComeBack(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	must(t, d.network.StopServers(t.Context()))
	expired := d.status(t).All.Expired
	eventually(t, "nothing expires", func() bool { return d.status(t).All.Expired > expired+100 })
	mustIP(t, "link set wan0 arp off") // and its next hop's ARP
	mustIP(t, "link set wan0 arp on")
	mustIP(t, "neigh flush dev wan0")
	began := time.Now()
	w := mustWatchWire(t)
	wait(t.Context(), 3*time.Second)
	must(t, d.network.StartServers(t.Context()))
	answered := d.status(t).All.Answered
	eventually(t, "nothing is answered", func() bool { return d.status(t).All.Answered > answered+500 })
	seen := w.stop(t)
	rate := d.cfg.Safety.MaxRate
	// A conversation has some segments beside its packet: five on a good day.
	if most := int(8 * (rate*(time.Since(began).Seconds()+0.5) + 320)); len(seen) > most {
		t.Errorf("%d packets on the wire in %v, want at most %d", len(seen), time.Since(began), most)
	}
	for second := began; second.Before(began.Add(time.Since(began))); second = second.Add(time.Second) {
		n := 0
		for _, s := range seen {
			if !s.at.Before(second) && s.at.Before(second.Add(time.Second)) {
				n++
			}
		}
		if most := int(8 * (1.5*rate + 320)); n > most {
			t.Errorf("%d packets within a second, want at most %d: a storm", n, most)
		}
	}
	d.mustAddUp(t)
}

// TestInterfacesChange: an interface goes down and comes up, is renamed, and
// vanishes at last: the daemon goes on while it can, and ends with the reason
// where its programs are gone, for its manager to start it again.
func TestInterfacesChange(t *testing.T) {
	withoutRace(t)
	d := mustDaemon(t, nil)
	d.train(t)
	said := func(text string) {
		t.Helper()
		eventually(t, "the log does not say "+text, func() bool { return strings.Contains(d.stderr.String(), text) })
	}
	mustIP(t, "link set wan0 down")
	said("interface wan0 is down: nothing passes it")
	failed := d.status(t).All.Failed
	eventually(t, "no packet fails", func() bool { return d.status(t).All.Failed > failed+10 })
	mustIP(t, "link set wan0 up")
	said("interface wan0 is up again")
	d.mustGoOn(t)
	mustIP(t, "link set lan0 down")
	mustIP(t, "link set lan0 name lan7")
	said(`interface lan0 is called \"lan7\" now`)
	mustIP(t, "link set lan7 name lan0")
	mustIP(t, "link set lan0 up")
	d.mustGoOn(t)
	mustIP(t, "link del wan0")
	d.ended = true
	var exit *exec.ExitError
	if err := d.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != ExitFailed {
		t.Errorf("the daemon ends with %v, want exit code %d", err, ExitFailed)
	}
	if want := `interface "wan0" has gone, and the programs on it: the daemon has to start again`; !strings.Contains(d.stderr.String(), want) {
		t.Errorf("the reason is not said: %s", want)
	}
}

// killsVar sets how often TestKilledAtAnyMoment kills.
const killsVar = "PACGAN_KILLS"

// TestKilledAtAnyMoment kills the daemon, or the training child, at random
// moments while it captures, trains and injects: what was acknowledged is
// there, nothing torn is read, and it goes on.
func TestKilledAtAnyMoment(t *testing.T) {
	withoutRace(t)
	kills := 4
	if text := os.Getenv(killsVar); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		must(t, err)
	}
	d := mustDaemon(t, func(c *config.Config) { c.Train.Recipe = config.RecipeGAN })
	d.train(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for kill := range kills {
		d.do(t, "train", "now") // or one is under way
		must(t, d.network.Traffic(t.Context(), lab.Labels()[kill%3], 200, nil))
		d.mustGoOn(t)
		var before Status
		eventually(t, "the captured packets are not flushed", func() bool {
			before = d.status(t)
			return before.Capture.Labels[kill%3].Stored > 0
		})
		wait(t.Context(), flushInterval+time.Duration(random.IntN(2000))*time.Millisecond)
		if child := childOf(t, d.cmd.Process.Pid); child != 0 && random.IntN(3) == 0 {
			_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
			d.mustGoOn(t)
			continue
		}
		d.kill(t)
		store, err := dataset.OpenReadOnly(filepath.Join(d.cfg.State.Dir, dataDir))
		must(t, err)
		for _, l := range before.Capture.Labels {
			if n := store.Count(l.Label); n < l.Stored {
				t.Errorf("kill %d: label %s: %d packets on disk, %d were stored a flush before", kill, l.Label, n, l.Stored)
			}
		}
		must(t, store.Close())
		d.mustModels(t)
		saved := map[countsKey]labelCounts{} // whose sums are checked as they are read
		if _, err := os.Stat(filepath.Join(d.cfg.State.Dir, countsFile)); err == nil {
			saved = mustSaved(t, d)
		}
		d.start(t)
		after := d.status(t)
		for _, l := range after.Labels {
			was := saved[countsKey{fromModel, l.Label}]
			if l.Generated < was.Generated || l.Answered < was.Answered {
				t.Errorf("kill %d: label %s: %d of %d answered, %d of %d were saved", kill, l.Label, l.Answered, l.Generated, was.Answered, was.Generated)
			}
		}
		d.mustGoOn(t)
	}
	d.mustAddUp(t)
	d.stop(t)
}

// mustModels loads every model that is in its place.
func (d *running) mustModels(t *testing.T) {
	t.Helper()
	dir := filepath.Join(d.cfg.State.Dir, modelsDir)
	models, err := model.List(dir)
	must(t, err)
	if len(models) == 0 {
		t.Error("no model is left")
	}
	for _, m := range models {
		if _, _, err := model.Load(filepath.Join(dir, m.ID)); err != nil {
			t.Errorf("model %s: %v", m.ID, err)
		}
	}
}

// childOf is the training process of a daemon, 0 where it has none.
func childOf(t *testing.T, daemon int) int {
	t.Helper()
	child, err := family.Child(daemon, "train")
	must(t, err)
	return child
}
