package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// initName is the name (argv[0]) under which the program runs as pid 1.
const initName = "pacgan-sandbox-init"

// lifelineFD is where pid 1 holds the read end of the supervisor's pipe.
const lifelineFD = 3

// RoleMain runs pid 1 of a sandbox when the process was started as that, and says so. Call it
// before anything else, flags included.
func RoleMain() (handled bool, code int) {
	if os.Args[0] != initName {
		if Kind() != "" {
			syscall.CloseOnExec(procFD)
		}
		return false, 0
	}
	code, err := initMain(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: "+err.Error())
		return true, 1
	}
	return true, code
}

// initMain is pid 1: args are the kind, the program's name and its arguments.
func initMain(args []string) (int, error) {
	if os.Getpid() != 1 || len(args) < 2 {
		return 1, errors.New(initName + " is started by the program itself only")
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	// The program is not in the terminal's foreground group; under `stty tostop` its output
	// would stop it. Ignored signals stay ignored across exec.
	signal.Ignore(syscall.SIGTTOU)
	go followSupervisor()

	outer, err := os.Open("/proc")
	if err != nil {
		return 1, err
	}
	defer outer.Close()
	if err := privateMounts(); err != nil {
		return 1, err
	}
	if err := QuietNetwork(); err != nil {
		return 1, err
	}
	ns, err := NetNS("self")
	if err != nil {
		return 1, err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", args[1:], &syscall.ProcAttr{
		Env:   append(withoutMarker(os.Environ()), marker+"="+args[0]+" "+ns),
		Files: []uintptr{0, 1, 2, outer.Fd()},
	})
	if err != nil {
		return 1, fmt.Errorf("start %s: %w", args[1], err)
	}
	go func() {
		for s := range signals {
			syscall.Kill(pid, s.(syscall.Signal))
		}
	}()
	return reap(pid)
}

// followSupervisor ends pid 1, and so the kernel everything inside, when the supervisor is gone.
func followSupervisor() {
	syscall.CloseOnExec(lifelineFD)
	io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline"))
	os.Exit(1)
}

// privateMounts keeps mounts made here from the outside and shows the new pid namespace in /proc,
// whose /proc/sys is writable in a container too.
func privateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount a fresh /proc: %w", err)
	}
	return nil
}

// QuietNetwork configures a fresh network namespace, the calling thread's: it takes the
// loopback up and IPv6 off, whose solicitations would be in every capture.
func QuietNetwork() error {
	for _, key := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+key+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 is quiet already
			return fmt.Errorf("IPv6 off: %w", err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("loopback up: %w", err)
	}
	return nil
}

// reap waits for every child, adopted orphans too, until the program has ended.
func reap(program int) (int, error) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, fmt.Errorf("wait: %w", err)
		case pid == program && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		case pid == program && ws.Exited():
			return ws.ExitStatus(), nil
		}
	}
}

func withoutMarker(env []string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, marker+"=") {
			kept = append(kept, e)
		}
	}
	return kept
}
