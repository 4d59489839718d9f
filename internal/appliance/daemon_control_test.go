package appliance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/labtest"
)

// running is a daemon in a process of its own, on a lab's gateway.
type running struct {
	cmd     *exec.Cmd
	stderr  *lockedBuffer
	manager *manager
	network *lab.Lab
	client  *control.Client
	config  string // path
	cfg     config.Config
	socket  string
	ended   bool
	passed  *os.File // the socket that it gets as systemd passes it; nil: none
	name    string   // of that socket
}

// mustDaemon starts the daemon on a lab and waits for READY=1. edit may change
// the config that it starts with.
func mustDaemon(t *testing.T, edit func(*config.Config)) *running {
	t.Helper()
	d := mustSetUp(t, edit)
	d.start(t)
	return d
}

// mustSetUp is mustDaemon without the start.
func mustSetUp(t *testing.T, edit func(*config.Config)) *running {
	t.Helper()
	withRace(t)
	labtest.RequireRoot(t)
	network, err := lab.New(lab.Options{Servers: lab.Embedded, Seed: 3})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	state := filepath.Join(t.TempDir(), "state")
	o := labOptions{labels: lab.Labels(), rate: 500, recipe: "tree"}
	cfg, _, err := o.config(state)
	must(t, err)
	cfg.Train.MinPackets = 300
	d := &running{
		stderr: &lockedBuffer{}, network: network, cfg: cfg, socket: filepath.Join(state, control.SocketName),
		config: filepath.Join(t.TempDir(), "config.toml"),
	}
	d.write(t, edit)
	d.client = control.NewClient(d.socket)
	t.Setenv(asProgram, "1")
	return d
}

// write changes the config on disk.
func (d *running) write(t *testing.T, edit func(*config.Config)) {
	t.Helper()
	if edit != nil {
		edit(&d.cfg)
	}
	text, err := d.cfg.Dump()
	must(t, err)
	mustWrite(t, d.config, string(text))
}

// command is the daemon's, as systemd runs it: with a passed socket its number
// and the process's own pid are in the environment (sd_listen_fds(3)).
func (d *running) command(t *testing.T) *exec.Cmd {
	t.Helper()
	if d.passed == nil {
		return exec.Command("/proc/self/exe", "run", "-c", d.config)
	}
	program, err := os.Executable()
	must(t, err)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" run -c "$1"`, program, d.config)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+d.name)
	cmd.ExtraFiles = []*os.File{d.passed}
	return cmd
}

func (d *running) start(t *testing.T) {
	t.Helper()
	d.manager = mustManager(t)
	d.cmd = d.command(t)
	d.cmd.Stderr = d.stderr
	must(t, d.cmd.Start())
	d.ended = false
	t.Cleanup(func() {
		if !d.ended {
			d.ended = true
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("the daemon said:\n%s", d.stderr)
		}
	})
	eventually(t, "READY=1 does not come", func() bool { ready, _ := d.manager.state(); return ready })
}

// stop ends the daemon as systemd does, and returns how long that took.
func (d *running) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, d.cmd.Process.Signal(syscall.SIGTERM))
	d.ended = true
	must(t, d.cmd.Wait())
	return time.Since(began)
}

// mustStopSoon stops the daemon, which promises to take less than 5 s on a gateway; the race detector on
// a busy machine took a little more, so that a test allows three times as long.
func (d *running) mustStopSoon(t *testing.T) {
	t.Helper()
	if took := d.stop(t); took > 15*time.Second {
		t.Errorf("SIGTERM took %v", took)
	}
}

// train has real clients make what a first training needs, and waits until
// packets are answered.
func (d *running) train(t *testing.T) {
	t.Helper()
	for _, label := range lab.Labels() {
		must(t, d.network.Traffic(t.Context(), label, 400, nil))
	}
	eventually(t, "no packet is answered", func() bool { return d.status(t).All.Answered > 100 })
}

func (d *running) status(t *testing.T) Status {
	t.Helper()
	var s Status
	must(t, d.client.Status(t.Context(), &s))
	return s
}

// do runs a command for this daemon and returns what it gave.
func (d *running) do(t *testing.T, args ...string) result {
	t.Helper()
	got := run(t, append(args, "--socket", d.socket)...)
	got.Stderr = strings.ReplaceAll(got.Stderr, filepath.Dir(d.config), "DIR")
	return got
}

func (d *running) mustDo(t *testing.T, want string, args ...string) {
	t.Helper()
	if diff := cmp.Diff(result{ExitDone, want + "\n", ""}, d.do(t, args...)); diff != "" {
		t.Fatalf("%v (-want +got):\n%s", args, diff)
	}
}

func (d *running) mustRefuse(t *testing.T, want string, args ...string) {
	t.Helper()
	if diff := cmp.Diff(result{ExitFailed, "", "pacgan-appliance: " + want + "\n"}, d.do(t, args...)); diff != "" {
		t.Fatalf("%v (-want +got):\n%s", args, diff)
	}
}

// TestControl pauses, resumes, trains and asks a running daemon.
func TestControl(t *testing.T) {
	d := mustDaemon(t, nil)
	first := d.status(t)
	if diff := cmp.Diff([]shortfall{{"ping", 0, 300}, {"dns", 0, 300}, {"http", 0, 300}}, first.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if first.State != stateCapturing || first.Model != nil || first.Paused || first.Version != "test" || first.Rate != 500 {
		t.Errorf("first status: %+v", first)
	}
	d.mustRefuse(t, "train: too few packets: ping 0 of 300, dns 0 of 300, http 0 of 300", "train", "now")
	d.mustDo(t, "not paused", "resume")
	d.train(t)
	if n := len(witnessSecond(t)); n == 0 {
		t.Error("no packet left in a second at 500/s: the witness sees none")
	}

	d.mustDo(t, "paused: nothing is injected until resume", "pause")
	if n := len(witnessSecond(t)); n > 0 {
		t.Errorf("%d packets left after the reply", n)
	}
	d.mustDo(t, "paused already", "pause")
	paused := d.status(t)
	if paused.State != statePaused || !paused.Paused || paused.All.Generated == 0 || paused.All.OnWire == 0 {
		t.Errorf("status while paused: %+v", paused)
	}
	eventually(t, "packets stay in flight", func() bool { return d.status(t).All.Inflight == 0 })
	paused = d.status(t)
	if got := paused.All.accounted(); got != paused.All.Generated {
		t.Errorf("%d generated, %d accounted for", paused.All.Generated, got)
	}
	d.mustDo(t, "training with recipe tree", "train", "now")
	eventually(t, "the new model is not trained", func() bool {
		s := d.status(t)
		return s.Training != nil && s.Training.Trying
	})
	if n := len(witnessSecond(t)); n > 0 {
		t.Errorf("%d packets of a new model left while paused", n)
	}
	if id := d.status(t).Model.ID; id != paused.Model.ID {
		t.Errorf("model %s took over untried", id)
	}

	d.mustDo(t, "resumed", "resume")
	eventually(t, "injection does not go on", func() bool {
		s := d.status(t)
		return s.State == stateInjecting && s.All.Answered > paused.All.Answered+100
	})
	eventually(t, "the new model does not take over", func() bool { return d.status(t).Model.ID != paused.Model.ID })
	d.checkStatus(t)
	d.mustStopSoon(t)
	if _, err := os.Lstat(d.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	d.mustRefuse(t, "no daemon listens on "+d.socket+": start it, or name its socket with --socket", "status")
}

// checkStatus compares what status prints with what it tells as JSON.
func (d *running) checkStatus(t *testing.T) {
	t.Helper()
	var s Status
	got := d.do(t, "status", "--json")
	must(t, json.Unmarshal([]byte(got.Stdout), &s))
	for _, label := range s.Labels {
		if label.Answered == 0 || label.RTT.P50 <= 0 {
			t.Errorf("label %s: %+v", label.Label, label)
		}
	}
	if s.Capture.Seen < 1200 || s.Capture.Stored < 1200 || len(s.Capture.Labels) != 3 {
		t.Errorf("capture %+v", s.Capture)
	}
	drops := s.Drops
	drops.Paused = 0 // those on their way to the guard when it was told
	if drops != (DropStatus{}) || s.Drops.Paused > 64 {
		t.Errorf("drops %+v", s.Drops)
	}
	for _, task := range s.Tasks {
		if diff := cmp.Diff(TaskStatus{Name: task.Name, Running: true}, task); diff != "" {
			t.Errorf("task (-want +got):\n%s", diff)
		}
	}
	table := d.do(t, "status").Stdout
	want := regexp.MustCompile(`(?s)^injecting 500/s, [0-9.]+ % answered \([0-9,]+ of [0-9,]+\), model [0-9]+ (s|min) old; up [0-9]+ (s|min)
model [0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}, recipe tree
 +label +captured .*\n +ping +[0-9,]+ .*\n +dns .*\n +http .*\n +all +[0-9,]+ [^\n]*\n$`)
	if !want.MatchString(table) {
		t.Errorf("status does not look as it should:\n%s", table)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	must(t, watchStatus(ctx, d.client, &out, 10*time.Millisecond))
	again := fmt.Sprintf("\x1b[%dA\x1b[J", strings.Count(table, "\n"))
	if n := strings.Count(out.String(), again); n < 3 {
		t.Errorf("the table is drawn over itself %d times:\n%q", n, out.String())
	}
}

func (d *running) mustRefuseLike(t *testing.T, pattern string, args ...string) {
	t.Helper()
	if got := d.do(t, args...); got.Code != ExitFailed || !regexp.MustCompile(pattern).MatchString(got.Stderr) {
		t.Errorf("%v: %+v", args, got)
	}
}

// TestControlCommandsWithoutDaemon pins what they say.
func TestControlCommandsWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mustWrite(t, "config.toml", goodConfig+"[state]\ndir = \""+dir+"\"\n")
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"socket", []string{"status", "--socket", "none.sock"}, ExitFailed,
			"pacgan-appliance: no daemon listens on none.sock: start it, or name its socket with --socket"},
		{"config", []string{"pause", "-c", "config.toml"}, ExitFailed,
			"pacgan-appliance: no daemon listens on " + dir + "/control.sock: start it, or name its socket with --socket"},
		{"no config", []string{"reload", "-c", "none.toml"}, ExitFailed, "pacgan-appliance: config none.toml: no such file or directory"},
		{"installed", []string{"resume"}, ExitFailed,
			"pacgan-appliance: no daemon listens on /var/lib/pacgan-appliance/control.sock: start it, or name its socket with --socket"},
		{"both", []string{"train", "now", "-c", "config.toml", "--socket", "x"}, ExitUsage,
			"pacgan-appliance: if any flags in the group [socket config] are set none of the others can be; [config socket] were all set: see pacgan-appliance --help"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(result{tt.code, "", tt.want + "\n"}, run(t, tt.args...)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoughly(t *testing.T) {
	for give, want := range map[time.Duration]string{
		-time.Second: "0 s", 59 * time.Second: "59 s", 119 * time.Minute: "119 min", 47 * time.Hour: "47 h", 49 * time.Hour: "2 d",
	} {
		if got := roughly(give); got != want {
			t.Errorf("roughly(%v) = %s, want %s", give, got, want)
		}
	}
}
