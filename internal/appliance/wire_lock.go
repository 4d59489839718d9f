package appliance

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// wireLockName is an abstract unix socket: the kernel keeps such names for
// each network namespace apart, and frees them when their process ends,
// however it ends.
const wireLockName = "@pacgan-appliance-wire"

// lockWire makes sure that one process of ours works in this network
// namespace: a second would take the injection cable away from the first, and
// its replies. Close the result to let another begin.
func lockWire() (*net.UnixListener, error) {
	lock, err := net.ListenUnix("unix", &net.UnixAddr{Name: wireLockName, Net: "unix"})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another pacgan-appliance%s injects on this machine: stop it first (the daemon: systemctl stop pacgan-appliance)", wireHolder())
	}
	if err != nil {
		return nil, fmt.Errorf("lock the wire: %w", err)
	}
	return lock, nil
}

// wireHolder names the process that has the lock, where it can be seen.
func wireHolder() string {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: wireLockName, Net: "unix"})
	if err != nil {
		return ""
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return ""
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	if err != nil || pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
