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

// controlCommands are the commands that a running daemon carries out.
func (p *Program) controlCommands() []*cobra.Command {
	return []*cobra.Command{
		p.statusCommand(),
		p.actionCommand(control.Pause, "pause", "Stop injecting at once; capture and counts go on",
			"Stops the running daemon's injector: nothing leaves after this command returns, until resume or a\nrestart. TCP conversations that do not end within half a second are reset, and their packets expire."),
		p.actionCommand(control.Resume, "resume", "Go on injecting after pause", ""),
		p.actionCommand(control.Train, "retrain", "Have the daemon train a model now", "Has the running daemon train a model at once, beside its schedule; status shows how far it is."),
		p.actionCommand(control.Reload, "reload", "Have the daemon read its config again",
			"Has the running daemon take up its changed config as a whole, or not at all: safety.*, train.*,\ninject.rate and the labels' shares. All else needs a restart, and is named."),
	}
}

func (p *Program) actionCommand(a control.Action, name, short, long string) *cobra.Command {
	var flags socketFlags
	cmd := &cobra.Command{
		Use: name + " [--socket PATH | -c config.toml]", Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
		},
	}
	flags.register(cmd)
	return cmd
}
