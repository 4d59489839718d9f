package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
)

// Exit codes of the program.
const (
	ExitDone   = 0 // what was asked for is done
	ExitFailed = 1 // it could not be done; the reason is on standard error
	ExitUsage  = 2 // the command line is wrong
)

// Program is pacgan-appliance as a value: main starts it, and so do tests.
type Program struct {
	Version        string
	Stdout, Stderr io.Writer
}

// exitError carries the exit code of a process that ran on the command's
// behalf and has already said on standard error what was wrong.
type exitError struct {
	code int
}

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a command line that cannot be meant.
type usageError struct {
	error
}

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run runs one command line, without the program's name, and returns its exit
// code. Every error is one line on Stderr.
func (p *Program) Run(ctx context.Context, args []string) int {
	started := false
	root := p.Command()
	noticeStart(root, &started)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit exitError
	var faults config.Faults
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &faults): // a line each, that editors can follow
		fmt.Fprintln(p.Stderr, faults)
		return ExitFailed
	case !started || errors.As(err, new(usageError)):
		fmt.Fprintf(p.Stderr, "pacgan-appliance: %v: see pacgan-appliance --help\n", err)
		return ExitUsage
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		err = fmt.Errorf("interrupted: %w", err)
	}
	fmt.Fprintf(p.Stderr, "pacgan-appliance: %v\n", err)
	return ExitFailed
}

// noticeStart has each command below cmd say that its own work began: until
// then an error is one of the command line.
func noticeStart(cmd *cobra.Command, started *bool) {
	for _, sub := range cmd.Commands() {
		noticeStart(sub, started)
		run := sub.RunE
		if run == nil {
			continue
		}
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			return run(cmd, args)
		}
	}
}

const (
	rootLong = `pacgan-appliance sits on a test network's gateway. It captures labelled traffic, trains a PAC-GAN on it,
injects what that generates, and counts in the kernel which of it the network answered.

The daemon is "run"; "status", "pause", "resume", "train now" and "reload" talk to it. "lab" shows the whole
job on one machine and needs no config.

A command ends with exit code 0 when what was asked for is done, 1 when it could not be done, with the
reason on standard error, and 2 when the command line is wrong.`

	rootExample = `  pacgan-appliance lab
  pacgan-appliance check -c /etc/pacgan-appliance/config.toml
  pacgan-appliance status`
)

// Command is the whole command line. Help, shell completion and man pages are
// all made from it.
func (p *Program) Command() *cobra.Command {
	root := &cobra.Command{
		Use:               "pacgan-appliance",
		Short:             "Labelled, never-ending test traffic whose answers are proven",
		Long:              rootLong,
		Example:           rootExample,
		Version:           p.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true, // no date of making in the man pages: two builds are equal
	}
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.AddCommand(p.runCommand(), p.labCommand(), p.trainCommand(), p.generateCommand(), p.injectCommand(), p.scoreCommand(), p.truthCommand(), p.modelCommand(), p.checkCommand(), p.doctorCommand(), p.cleanCommand(), p.hubCommand(), p.fleetCommand(), p.trainerCommand())
	root.AddCommand(p.controlCommands()...)
	return root
}
