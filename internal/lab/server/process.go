package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pacgan-appliance/internal/lab/program"
)

// process is a server program in the foreground, its output in a file.
type process struct {
	name   string
	cmd    *exec.Cmd
	output string
	exited chan struct{}
}

func startProcess(dir, path string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(path), exited: make(chan struct{})}
	p.output = filepath.Join(dir, p.name+".out")
	out, err := os.Create(p.output)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = &exec.Cmd{
		Path: path, Args: append([]string{path}, args...), Dir: dir, Env: program.CleanEnv(), Stdout: out, Stderr: out,
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // stop and ready tell how it ended
		close(p.exited)
	}()
	return p, nil
}

// ready polls until serving says so, and fails when the program ends before.
func (p *process) ready(serving func() (bool, error)) error {
	deadline := time.After(10 * time.Second)
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
			return fmt.Errorf("%s does not listen after 10 s: %s", p.name, p.lastLine())
		case <-tick.C:
		}
	}
}

// stop asks the program to end, and kills it when it does not.
func (p *process) stop() error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(5 * time.Second):
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	return fmt.Errorf("%s did not end within 5 s: killed", p.name)
}

func (p *process) lastLine() string {
	b, err := os.ReadFile(p.output)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || lines[len(lines)-1] == "" {
		return "it printed nothing"
	}
	return lines[len(lines)-1]
}
