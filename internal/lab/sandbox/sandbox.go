// Package sandbox runs this very program again in fresh network, pid and mount namespaces, in which
// it may do what it likes to interfaces and processes: when it ends, or when the process that asked
// for it is killed, the kernel removes all of it. Nothing is named, mounted outside or pinned.
//
// Three processes take part: the supervisor (outside), pid 1 of the new pid namespace, which only
// reaps orphans and passes signals on, and the program (pid 2 or so), to whose os/exec waits a
// reaping parent must never belong. What the program does inside is not this package's business.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotRoot says that namespaces cannot be made without root.
var ErrNotRoot = errors.New("network namespaces need root: run as root, for example with sudo")

// ErrNoNamespaces says that the kernel, or a container around this process, forbids namespaces.
var ErrNoNamespaces = errors.New("sandbox: new pid, network and mount namespaces are not permitted here")

// marker is the environment variable that tells a program that it is inside: "KIND net:[INODE]".
const marker = "PACGAN_SANDBOX"

// procFD is the file descriptor by which the program inside reaches the supervisor's /proc.
const procFD = 3

// Grace is how long a program has to end in order after the first signal.
const Grace = 10 * time.Second

// Kind returns the kind that Run was given when the calling process is in the very network
// namespace which was made for it, and "" otherwise (also in a nested namespace).
func Kind() string {
	kind, id, ok := strings.Cut(os.Getenv(marker), " ")
	if !ok {
		return ""
	}
	own, err := NetNS("self")
	if err != nil || own != id {
		return ""
	}
	return kind
}

// NetNS names the network namespace of a process ("self" or a pid), as "net:[INODE]".
func NetNS(pid string) (string, error) {
	return os.Readlink("/proc/" + pid + "/ns/net")
}

// OuterProc opens the supervisor's /proc, in which a process inside finds its own pid as the
// supervisor sees it (OuterPID). Only the program that Run started can open it.
func OuterProc() (*os.File, error) {
	if Kind() == "" {
		return nil, errors.New("sandbox: not inside one")
	}
	fd, err := unix.FcntlInt(procFD, unix.F_DUPFD_CLOEXEC, procFD)
	if err != nil {
		return nil, fmt.Errorf("sandbox: the supervisor's /proc: %w", err)
	}
	return os.NewFile(uintptr(fd), "outer /proc"), nil
}

// OuterPID is the calling process's pid in the pid namespace of proc, a directory from OuterProc.
func OuterPID(proc *os.File) (string, error) {
	buf := make([]byte, 32)
	n, err := unix.Readlinkat(int(proc.Fd()), "self", buf)
	if err != nil {
		return "", fmt.Errorf("sandbox: own pid in the supervisor's /proc: %w", err)
	}
	return string(buf[:n]), nil
}

// Run executes this program again with args (without the program's name) in a sandbox, waits for it
// and returns its exit code. SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on; after Grace, or at a
// second signal, everything inside is killed. The program inside has no standard input.
func Run(kind string, args []string) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, ErrNotRoot
	}
	// Pdeathsig fires when the *thread* that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)

	// Pdeathsig has a gap: a supervisor that dies before the child has asked for the signal. Pid 1
	// therefore also ends when the write end of this pipe, which nobody else holds, is gone.
	ours, theirs, err := lifeline()
	if err != nil {
		return 1, err
	}
	defer ours.Close()
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       append([]string{initName, kind, os.Args[0]}, args...),
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
			Pdeathsig:  syscall.SIGKILL,
			// Ctrl-C then reaches the supervisor alone, and the rest once, through it.
			Setpgid: true,
		},
	}
	err = cmd.Start()
	theirs.Close()
	if errors.Is(err, syscall.EPERM) {
		return 1, ErrNoNamespaces
	}
	if err != nil {
		return 1, fmt.Errorf("sandbox: new pid, network and mount namespaces: %w", err)
	}
	return wait(cmd, signals)
}

var passedOn = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

func lifeline() (ours, theirs *os.File, err error) {
	theirs, ours, err = os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("sandbox: pipe: %w", err)
	}
	return ours, theirs, nil
}

// wait passes signals on until pid 1, and with it everything inside, has ended.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var deadline <-chan time.Time
	for {
		select {
		case s := <-signals:
			if deadline != nil {
				cmd.Process.Kill()
				continue
			}
			cmd.Process.Signal(s)
			deadline = time.After(Grace)
		case <-deadline:
			cmd.Process.Kill()
		case err := <-done:
			return exitCode(cmd.ProcessState, err)
		}
	}
}

func exitCode(state *os.ProcessState, err error) (int, error) {
	if state == nil {
		return 1, fmt.Errorf("sandbox: wait: %w", err)
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}
