package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"pacgan-appliance/internal/lab/program"
)

// Tape has tcpdump record the IP packets of one of the gateway's interfaces in a file while traffic passes. It
// records all of them, or fails.
func Tape(ctx context.Context, iface, file string, traffic func() error) (err error) {
	path, err := program.Find("tcpdump")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, "-i", iface, "-n", "-U", "--immediate-mode", "-B", "32768", "-Z", "root", "-w", file, "ip")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(stderr)
	defer func() {
		ended := cmd.Process.Signal(syscall.SIGINT)
		if errors.Is(ended, os.ErrProcessDone) {
			ended = nil
		}
		for said.Scan() { // Wait may close the pipe only when it is read out
		}
		err = errors.Join(err, ended, cmd.Wait())
	}()
	var complaint []string
	for listens := false; !listens; complaint = append(complaint, said.Text()) {
		if !said.Scan() {
			return errors.New(strings.Join(complaint, " ")) // it names itself
		}
		listens = strings.Contains(said.Text(), "listening on")
	}
	if err := traffic(); err != nil {
		return err
	}
	return settleTape(ctx, cmd, said)
}

// settleTape waits until it has written down all that the kernel has for it, and until that grows no more.
func settleTape(ctx context.Context, cmd *exec.Cmd, said *bufio.Scanner) error {
	counts := regexp.MustCompile(`(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel`)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return fmt.Errorf("tcpdump: %w", err)
		}
		if !said.Scan() {
			return errors.New("tcpdump has ended while it recorded")
		}
		m := counts.FindStringSubmatch(said.Text())
		switch {
		case m == nil:
			return fmt.Errorf("tcpdump said %q in the place of its counts", said.Text())
		case m[3] != "0":
			return fmt.Errorf("tcpdump lost %s packets: run this on a machine that is less busy, or with less traffic", m[3])
		case m[1] == m[2] && m[1] == last:
			return nil
		}
		last = m[1]
	}
}
