package lab

import (
	"context"
	"fmt"
	"os/exec"

	"pacgan-appliance/internal/lab/program"
)

// ClientCommand is exec.CommandContext where the LAN's clients are, with no environment of the user's: further clients
// than the lab's own. What still runs when the lab is closed is killed.
func (l *Lab) ClientCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.lan.command(ctx, name, args...)
}

// ServerCommand is the same where the servers are.
func (l *Lab) ServerCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.servers.command(ctx, name, args...)
}

// command runs a program in the role's network namespace.
func (r *role) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	ns := fmt.Sprintf("--net=/proc/%d/ns/net", r.cmd.Process.Pid)
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{ns, "--", name}, args...)...)
	cmd.Env = program.CleanEnv()
	return cmd
}
