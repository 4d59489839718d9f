// Command pacgan-appliance makes traffic for intrusion detection systems: it
// captures labelled packets, trains a PAC-GAN on them, injects what that
// generates and proves which of it the network answered.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/lab"
)

// version is set by the Makefile from the repository's tag.
var version = "unknown"

func main() {
	if handled, code := lab.RoleMain(); handled {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	program := appliance.Program{Version: version, Stdout: os.Stdout, Stderr: os.Stderr}
	code := program.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
