package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// KillNetNS kills every process in a network namespace (as NetNS names it) and waits until none is
// left or ctx ends. It acts inside a sandbox only, whose /proc shows no other processes, and never
// on the sandbox's own network namespace.
func KillNetNS(ctx context.Context, id string) error {
	own, err := NetNS("self")
	if err != nil {
		return err
	}
	if Kind() == "" || id == own {
		return errors.New("sandbox: only a network namespace made inside a sandbox can be cleared")
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := members(id)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("sandbox: processes %v still in %s: %w", pids, id, ctx.Err())
		case <-tick.C:
		}
	}
}

// members lists the processes in a network namespace; zombies have left it.
func members(id string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ns, err := NetNS(e.Name()); err == nil && ns == id {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
