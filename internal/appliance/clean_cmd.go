package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/hook"
)

const cleanLong = `Takes away what a daemon that was killed together with all its processes has left in this network
namespace: the injection cable inj0-inj1, and below kernel 6.6 its tc filters. Says what it took away.
Does nothing while a daemon runs there. Needs CAP_NET_ADMIN. systemd runs it after the daemon has ended.`

// cleanCommand cleans up after a killed daemon.
func (p *Program) cleanCommand() *cobra.Command {
	var keeper bool
	cmd := &cobra.Command{
		Use:     "clean",
		Short:   "Take away what a killed daemon left behind",
		Long:    cleanLong,
		Example: "  pacgan-appliance clean",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keeper {
				return p.keep(cmd.Context(), cmd.InOrStdin())
			}
			lock, err := lockNetwork()
			if err != nil {
				return err
			}
			return errors.Join(p.clean(), lock.Close())
		},
	}
	cmd.Flags().BoolVar(&keeper, "keeper", false, "wait for the end of standard input first")
	_ = cmd.Flags().MarkHidden("keeper") // it is there
	return cmd
}

// keep is the keeper's life, a child process of the daemon's: it holds the
// network namespace's lock until the daemon has closed its end of our input,
// which the kernel does for one that was killed, and cleans up then. Signals
// for the daemon's whole group must not end it earlier.
func (p *Program) keep(ctx context.Context, parent io.Reader) error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	lock, err := waitForLock(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.Stdout, keeperReady); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, parent); err != nil {
		return err
	}
	return errors.Join(p.clean(), lock.Close())
}

// clean says what was taken away; to whom nobody listens is no failure.
func (p *Program) clean() error {
	taken, err := hook.Clean()
	for _, what := range taken {
		fmt.Fprintln(p.Stderr, "removed", what)
	}
	return err
}

// networkLock is an abstract socket (unix(7)), of which each network namespace
// has its own and which is gone with its holder.
const networkLock = "@pacgan-appliance"

// errLocked says that somebody holds the lock.
var errLocked = errors.New("another pacgan-appliance runs in this network namespace: stop it first")

func lockNetwork() (io.Closer, error) {
	lock, err := net.Listen("unix", networkLock)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, errLocked
	}
	if err != nil {
		return nil, fmt.Errorf("lock the network namespace: %w", err)
	}
	return lock, nil
}

// How long a keeper waits for that of a daemon which has just been killed, and
// how often it looks.
const (
	lockPatience = 5 * time.Second
	lockTick     = 20 * time.Millisecond
)

func waitForLock(ctx context.Context) (io.Closer, error) {
	late := time.NewTimer(lockPatience)
	defer late.Stop()
	tick := time.NewTicker(lockTick)
	defer tick.Stop()
	for {
		lock, err := lockNetwork()
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
			return nil, err
		case <-tick.C:
		}
	}
}
