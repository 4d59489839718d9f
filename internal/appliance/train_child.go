package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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

// trainNice is the nice value of the training child: below everything that
// the gateway does for others.
const trainNice = 10

// trainChild runs `train` with args in a process of its own, so that a crash
// or a shortage of memory in it harms nothing else: nice, in the scheduler's
// batch class, without a network, and gone if this process is. It calls
// progress with each event and returns the last, which names the model.
func trainChild(ctx context.Context, args []string, progress func(trainEvent)) (trainEvent, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"train", "--json"}, args...)...)
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
	if err := startNice(cmd, ended); err != nil {
		return trainEvent{}, fmt.Errorf("start training: %w", err)
	}
	last, readErr := readEvents(stdout, progress)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return trainEvent{}, ctx.Err()
		}
		if said := lastLine(stderr.String()); said != "" {
			return trainEvent{}, fmt.Errorf("training: %s", strings.TrimPrefix(said, "pacgan-appliance: "))
		}
		return trainEvent{}, fmt.Errorf("training: %w", err)
	}
	if readErr != nil {
		return trainEvent{}, readErr
	}
	if last.Model == "" {
		return trainEvent{}, errors.New("training ended without a model and without an error")
	}
	return last, nil
}

// startNice starts cmd from a thread that has made itself nice, since a child
// inherits the niceness of the thread that forks it. The thread stays until
// ended is closed, because the child's death signal is bound to it, and is
// then given up, since niceness cannot be taken back.
func startNice(cmd *exec.Cmd, ended <-chan struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		started <- func() error {
			if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), trainNice); err != nil {
				return fmt.Errorf("nice %d: %w", trainNice, err)
			}
			batch := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: trainNice}
			if err := unix.SchedSetAttr(0, &batch, 0); err != nil {
				return fmt.Errorf("batch scheduling: %w", err)
			}
			return cmd.Start()
		}()
		<-ended
	}()
	return <-started
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
