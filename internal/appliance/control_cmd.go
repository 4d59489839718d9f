package appliance

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/control"
)

// runtimeSocket is where the packaged daemon listens if its unit has a
// RuntimeDirectory.
const runtimeSocket = "/run/pacgan-appliance/" + control.SocketName

// socketFlags say which daemon a command is for.
type socketFlags struct {
	socket, config string
}

func (f *socketFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "socket", "", "the daemon's control `socket` (default: the installed daemon's)")
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "config `file` of the daemon, whose state.dir has the socket")
	cmd.MarkFlagsMutuallyExclusive("socket", "config")
	completeFiles(cmd, "socket", "sock")
	completeFiles(cmd, "config", "toml")
}

// client is a client of the daemon that the flags name.
func (f *socketFlags) client() (*control.Client, error) {
	switch {
	case f.socket != "":
		return control.NewClient(f.socket), nil
	case f.config != "":
		cfg, err := configLoader().Load(f.config)
		if err != nil {
			return nil, err
		}
		return control.NewClient(socketPath(cfg, "")), nil
	}
	if _, err := os.Stat(runtimeSocket); err == nil {
		return control.NewClient(runtimeSocket), nil
	}
	return control.NewClient(filepath.Join(config.Default().State.Dir, control.SocketName)), nil
}

const (
	pauseLong = `Stops the running daemon's injector: nothing leaves after this command returns, until "resume", also over
a restart of the daemon or the machine. Capture, training and counts go on. TCP conversations that do not end within half a second are reset, and their
packets expire.`

	resumeLong = `Has the running daemon inject again after "pause", within the allow-list and at the rate of its config.`

	reloadLong = `Has the running daemon take up its changed config as a whole, or not at all: labels, safety.*, train.*,
inject.rate, state.max_bytes and log.level. All else needs a restart, and is named. No packet and no count is
lost. Labels that the model in use has not learned are injected once it is trained anew, by itself, as soon
as there are enough packets. SIGHUP does the same and says the outcome in the log.`

	trainNowLong = `Has the running daemon train a model at once, beside its schedule. The command returns when the training
has been asked for; "status" shows how far it is.`
)

// controlCommands are the commands that a running daemon carries out.
func (p *Program) controlCommands() []*cobra.Command {
	return []*cobra.Command{
		p.statusCommand(),
		p.actionCommand(control.Pause, &cobra.Command{
			Use: "pause", Short: "Stop injecting at once; capture and counts go on", Long: pauseLong, Example: "  pacgan-appliance pause",
		}),
		p.actionCommand(control.Resume, &cobra.Command{
			Use: "resume", Short: "Go on injecting after pause", Long: resumeLong, Example: "  pacgan-appliance resume",
		}),
		p.actionCommand(control.Reload, &cobra.Command{
			Use: "reload", Short: "Have the daemon read its config again", Long: reloadLong,
			Example: "  pacgan-appliance reload\n  systemctl reload pacgan-appliance",
		}),
	}
}

// trainNowCommand is below train, which trains in a process of its own.
func (p *Program) trainNowCommand() *cobra.Command {
	return p.actionCommand(control.Train, &cobra.Command{
		Use: "now", Short: "Have the running daemon train a model now", Long: trainNowLong,
		Example: "  pacgan-appliance train now && pacgan-appliance status",
	})
}

// actionCommand makes cmd ask a daemon for an action and print what it says.
func (p *Program) actionCommand(a control.Action, cmd *cobra.Command) *cobra.Command {
	var flags socketFlags
	flags.register(cmd)
	cmd.Use += " [--socket PATH | -c config.toml]"
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := flags.client()
		if err != nil {
			return err
		}
		message, err := client.Do(cmd.Context(), a)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.Stdout, message)
		return err
	}
	return cmd
}
