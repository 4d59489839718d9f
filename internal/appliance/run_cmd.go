package appliance

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const (
	runLong = `Captures from the first minute, trains once there are enough packets of every label and then on
the schedule, and injects what the current model generates, until it is stopped. Tells systemd when it is
ready and what it is doing. SIGHUP reloads the config, as a whole or not at all, and SIGTERM ends the daemon
with its state on disk. The commands "status", "pause", "resume", "train now" and "reload" talk to it. It
rotates and bounds the record of injected packets itself ([truth] in the config): no logrotate may touch it.`

	runExample = `  pacgan-appliance run -c config.toml
  systemctl enable --now pacgan-appliance`
)

// gcPercent is how much garbage the daemon lets gather, in percent of what it
// holds: of 20 MB it saves 15, and a collection comes once in some seconds.
const gcPercent = 25

// runCommand is the daemon.
func (p *Program) runCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "run -c config.toml",
		Short:   "The daemon: capture, train, inject, verify",
		Long:    runLong,
		Example: runExample,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), path) },
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "config `file`")
	completeFiles(cmd, "config", "toml")
	return cmd
}

func (p *Program) serve(ctx context.Context, path string) error {
	cfg, err := configLoader().Load(path)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(slogLevel(cfg.Log.Level))
	log, err := newLogger(p.Stderr, level)
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	if os.Getenv("GOGC") == "" { // little garbage is made, and the gateway's memory is others'
		debug.SetGCPercent(gcPercent)
	}
	have, err := interfaceNames()
	if err != nil {
		return err
	}
	if err := checkInterfaces(path, cfg, have); err != nil {
		return err
	}
	if len(cfg.Safety.Allow) == 0 {
		log.Warn("captures and trains, but nothing is let out: safety.allow is empty; write " + allowLine + `, then "systemctl reload pacgan-appliance"`)
	}
	page, err := passedSocket()
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1) // a second one while a reload is under way adds nothing
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	s, err := openService(cfg, serviceOptions{
		path: path, version: p.Version, socket: socketPath(cfg, os.Getenv("RUNTIME_DIRECTORY")), hangups: hangups, level: level, page: page,
	}, slog.With("component", "daemon"))
	if err != nil {
		return err
	}
	return errors.Join(s.run(ctx), s.close())
}
