package program

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a server program in the foreground, its output in a file.
type Process struct {
	name   string
	cmd    *exec.Cmd
	output string
	exited chan struct{}
}

// Start runs the program at path in dir, where NAME.out gets all that it prints.
func Start(dir, path string, args ...string) (*Process, error) {
	p := &Process{name: filepath.Base(path), exited: make(chan struct{})}
	p.output = filepath.Join(dir, p.name+".out")
	out, err := os.Create(p.output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = &exec.Cmd{
		Path: path, Args: append([]string{path}, args...), Dir: dir, Env: CleanEnv(), Stdout: out, Stderr: out,
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // Stop and Ready tell how it ended
		close(p.exited)
	}()
	return p, nil
}

// Ready polls until serving says so, and fails when the program ends before, or after patience.
func (p *Process) Ready(patience time.Duration, serving func() (bool, error)) error {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := serving()
		if ok || err != nil {
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended at once: %s: %s", p.name, p.cmd.ProcessState, p.lastLine())
		case <-deadline:
			return fmt.Errorf("%s is not ready after %v: %s", p.name, patience, p.lastLine())
		case <-tick.C:
		}
	}
}

// Signal sends one to the program.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Stop asks the program to end, and kills it when it has not after patience.
func (p *Process) Stop(patience time.Duration) error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(patience):
	}
	_ = p.Kill()
	return fmt.Errorf("%s did not end within %v: killed", p.name, patience)
}

// Kill ends the program as a crash does.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

func (p *Process) lastLine() string {
	b, err := os.ReadFile(p.output)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || lines[len(lines)-1] == "" {
		return "it printed nothing"
	}
	return lines[len(lines)-1]
}
