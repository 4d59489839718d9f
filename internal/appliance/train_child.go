package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/model"
)

// trainEvent is one line of `train --json`: how far it is, and at last the
// model.
type trainEvent struct {
	Step           int     `json:"step"`
	Steps          int     `json:"steps"`
	CriticLoss     float32 `json:"critic_loss"`
	GeneratorLoss  float32 `json:"generator_loss"`
	BestStep       int     `json:"best_step"`     // of the best checkpoint so far
	BestDistance   float64 `json:"best_distance"` // from validation packets, as train.Distances measures it
	ElapsedSeconds float64 `json:"elapsed_seconds"`

	Checkpoint *model.Checkpoint `json:"checkpoint,omitempty"` // where one was judged at this step

	Model  string       `json:"model,omitempty"` // directory of the model, in the last line
	Report *TrainReport `json:"report,omitempty"`
}

// trainHeap is the share of the child's memory limit up to which its garbage
// collector lets memory grow; the rest is for what is not on its heap.
const trainHeap = 0.9

// trainOOMScore has the kernel, where the machine is short of memory, end a
// training before anything else (proc(5), oom_score_adj).
const trainOOMScore = "500"

// trainChild runs `train` with args as a confined child. It calls progress with
// each event and returns the last, which names the model.
func trainChild(ctx context.Context, maxMemory config.ByteSize, args []string, progress func(trainEvent)) (trainEvent, error) {
	return confinedChild(ctx, "training", maxMemory, append([]string{"train", "--json"}, args...), progress)
}

// measureChild runs `model measure` with args as a confined child.
func measureChild(ctx context.Context, maxMemory config.ByteSize, args []string) error {
	_, err := confinedChild(ctx, "measuring", maxMemory, append([]string{"model", "measure", "--json"}, args...), func(trainEvent) {})
	return err
}

// confinedChild runs one of this program's commands in a process of its own, so
// that a crash or a shortage of memory in it harms nothing else: confined, with
// at most maxMemory of memory, and gone if this process is. What the command
// prints says how far it is, and at last with which model it is done.
func confinedChild(ctx context.Context, command string, maxMemory config.ByteSize, args []string, progress func(trainEvent)) (trainEvent, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", int64(trainHeap*float64(maxMemory))))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return trainEvent{}, err
	}
	ended := make(chan struct{})
	defer close(ended)
	if err := startConfined(cmd, maxMemory, ended); err != nil {
		return trainEvent{}, fmt.Errorf("start %s: %w", command, err)
	}
	last, readErr := readEvents(stdout, progress)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return trainEvent{}, ctx.Err()
		}
		return trainEvent{}, fmt.Errorf("%s: %w", command, trainFailure(err, stderr.String(), maxMemory))
	}
	if readErr != nil {
		return trainEvent{}, readErr
	}
	if last.Model == "" {
		return trainEvent{}, fmt.Errorf("%s ended without a model and without an error", command)
	}
	return last, nil
}

// trainFailure says why a training ended: in its own words, where it had any.
func trainFailure(err error, said string, maxMemory config.ByteSize) error {
	if strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory") { // the Go runtime's words
		return fmt.Errorf("it needs more than its %v of memory: raise train.max_memory", maxMemory)
	}
	if line := lastLine(said); line != "" {
		return errors.New(strings.TrimPrefix(line, "pacgan-appliance: "))
	}
	return err
}

// startConfined starts cmd from a thread that has confined itself, since a
// child inherits what the thread that forks it has: there is no moment at
// which it is not confined, and nothing that it could leave undone. The thread
// stays until ended is closed, because the child's death signal is bound to
// it, and is then given up, since confinement cannot be taken back.
func startConfined(cmd *exec.Cmd, maxMemory config.ByteSize, ended <-chan struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		started <- func() error {
			if err := confine(); err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			if err := boundMemory(cmd.Process.Pid, maxMemory); err != nil {
				return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
			}
			return nil
		}()
		<-ended
	}()
	return <-started
}

// boundMemory bounds a process that has just begun: beyond the limit it gets
// no memory, and on a machine that has none left it is the first to go.
func boundMemory(pid int, limit config.ByteSize) error {
	data := unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &data, nil); err != nil {
		return fmt.Errorf("limit memory to %v: %w", limit, err)
	}
	// One that has ended already has a reason of its own to tell.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(trainOOMScore), 0)
	return nil
}

// readEvents reads the child's lines to their end and returns the last.
func readEvents(r io.Reader, progress func(trainEvent)) (trainEvent, error) {
	var last trainEvent
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e trainEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return last, fmt.Errorf("training said %q: %w", lines.Text(), err)
		}
		last = e
		progress(e)
	}
	return last, lines.Err()
}

// lastLine is the last line of text that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
