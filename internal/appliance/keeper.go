package appliance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// keeperReady is what a keeper says once it holds the lock.
const keeperReady = "ready"

// keeper is a child process that takes away what the kernel would keep after
// this process has been killed: the injection cable, and clsact filters below
// kernel 6.6. TCX programs go with the process itself.
type keeper struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startKeeper starts one. Nothing may be put into the network before. It fails
// where another pacgan-appliance runs in this network namespace.
func startKeeper() (*keeper, error) {
	cmd := exec.Command("/proc/self/exe", "clean", "--keeper")
	var said strings.Builder
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper: %w", err)
	}
	k := &keeper{cmd, stdin}
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) == keeperReady {
		return k, nil
	}
	err = k.close()
	if text := lastLine(said.String()); text != "" {
		err = errors.New(strings.TrimPrefix(text, "pacgan-appliance: "))
	}
	return nil, err
}

// close ends the keeper, after everything of ours is gone.
func (k *keeper) close() error {
	err := k.stdin.Close()
	if waited := k.cmd.Wait(); waited != nil {
		return fmt.Errorf("keeper: %w", waited)
	}
	return err
}
