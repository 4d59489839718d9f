package appliance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/train"
)

// kills is how often TestKilledTraining kills.
const kills = 20

// TestKilledTraining kills a training with -9 at 20 random moments, while it fits the trees, makes steps and writes its
// state, resumes it each time, and compares what comes out with what a training gives that nobody disturbs.
func TestKilledTraining(t *testing.T) {
	withoutRace(t)
	t.Setenv(asProgram, "1")
	dir := t.TempDir()
	pcap := filepath.Join(dir, "dns.pcap")
	mustWritePcap(t, pcap, 40, 0)
	args := func(out string) []string {
		return []string{"train", "--label", "dns=" + pcap, "--out", filepath.Join(dir, out), "--steps", "80", "--threads", "1", "--seed", "5", "--json",
			"--save-every", "1ns", "--resume"}
	}
	must(t, exec.Command("/proc/self/exe", args("whole")...).Run())

	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // the moments are the processes', not the seed's
	resumed := 0
	for range kills {
		steps, most := rng.IntN(3), 50*time.Millisecond
		if steps == 0 {
			most = 300 * time.Millisecond // all of them together are not to reach the training's end
		}
		if killTraining(t, args("killed"), steps, time.Duration(rng.Int64N(int64(most)))) > 0 {
			resumed++
		}
	}
	if resumed == 0 {
		t.Error("no training was killed after its first step")
	}
	saved, err := train.Open(filepath.Join(dir, "killed.training"))
	must(t, err)
	t.Logf("%d kills, %d after a step; %d of %d steps were made by then", kills, resumed, saved.Steps(), saved.Options.Steps)
	must(t, exec.Command("/proc/self/exe", args("killed")...).Run())
	for _, file := range []string{"generator.safetensors", "step0/generator.safetensors"} {
		want, err := os.ReadFile(filepath.Join(dir, "whole", file))
		must(t, err)
		got, err := os.ReadFile(filepath.Join(dir, "killed", file))
		must(t, err)
		if !bytes.Equal(want, got) {
			t.Errorf("%s differs from that of a training that was not killed", file)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "killed.training")); !os.IsNotExist(err) {
		t.Errorf("the training's state is left behind: %v", err)
	}
}

// killTraining starts a training, waits until it has told of so many steps (0: none, it fits the trees), and then as
// long as more says, and kills it. It returns the last step that it told of.
func killTraining(t *testing.T, args []string, steps int, more time.Duration) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	told, last := 0, 0
	for lines := bufio.NewScanner(stdout); told < steps && lines.Scan(); told++ {
		var e trainEvent
		must(t, json.Unmarshal(lines.Bytes(), &e))
		last = e.Step
	}
	timer := time.NewTimer(more) // somewhere within a step, or within what is written after it
	<-timer.C
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	return last
}

// TestResumeRefuses: what would lose a training, or would be another than the one that was stopped.
func TestResumeRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	mustWritePcap(t, "dns.pcap", 40, 0)
	ctx, stop := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	p := Program{Version: "test", Stdout: stopper(stop), Stderr: &stderr}
	begin := []string{"train", "--label", "dns=dns.pcap", "--out", "m", "--steps", "1000"}
	if code := p.Run(ctx, append(begin, "--json")); code != ExitFailed {
		t.Fatalf("exit code %d of a stopped training", code)
	}
	wantStop := regexp.MustCompile(`^pacgan-appliance: interrupted: train gan: stopped at step \d+: context canceled; to go on: pacgan-appliance train --resume --out m\n$`)
	if !wantStop.MatchString(stderr.String()) {
		t.Errorf("stopped: %s", stderr.String())
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"begin again", begin, `pacgan-appliance: train: m\.training holds an unfinished training, \d+ of 1,000 steps: go on with --resume, or remove it`},
		{"other steps", []string{"train", "--resume", "--out", "m", "--steps", "9"},
			`pacgan-appliance: --resume: the unfinished training has --steps 1000, not 9: leave that out, or remove it and train anew`},
		{"other settings", []string{"train", "--resume", "--out", "m", "--paper", "best"},
			`pacgan-appliance: --resume: the unfinished training has its own --paper: leave that out, or remove it and train anew`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, tt.args...)
			if !regexp.MustCompile("^"+tt.want+"\n$").MatchString(got.Stderr) || got.Code != ExitFailed {
				t.Errorf("exit code %d, %s\nwant %s", got.Code, got.Stderr, tt.want)
			}
		})
	}
	f, err := os.Open("m.training")
	must(t, err)
	defer func() { must(t, f.Close()) }()
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	if got := run(t, "train", "--resume", "--out", "m"); got.Stderr != "pacgan-appliance: training m.training: another process is training there: wait for it or stop it\n" {
		t.Errorf("while another trains: %s", got.Stderr)
	}
}

// stopper stops a training that tells of a step.
type stopper context.CancelFunc

func (s stopper) Write(b []byte) (int, error) {
	s()
	return len(b), nil
}
