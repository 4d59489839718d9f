package appliance

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/config"
)

// configLoader reads configs and compiles their filters, so that a fault of
// either names its line.
func configLoader() config.Loader {
	return config.Loader{
		HostName: os.Hostname,
		CheckFilter: func(filter string) error {
			_, err := capture.Compile(filter)
			return err
		},
	}
}

const (
	checkLong = `Reads a config, compiles its filters and names every fault with its line. It opens nothing else and needs
no root. What depends on the machine, such as whether an interface exists, is found at the daemon's start.`

	checkExample = `  pacgan-appliance check -c config.toml
  pacgan-appliance check -c config.toml --dump`
)

// checkCommand tests a config without root and opens nothing.
func (p *Program) checkCommand() *cobra.Command {
	var path string
	var dump bool
	cmd := &cobra.Command{
		Use:     "check -c config.toml",
		Short:   "Test a config: every fault with its line; needs no root",
		Long:    checkLong,
		Example: checkExample,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := configLoader().Load(path)
			if err != nil {
				return err
			}
			if !dump {
				_, err := fmt.Fprintf(p.Stdout, "%s: good: %d labels\n", path, len(cfg.Labels))
				return err
			}
			text, err := cfg.Dump()
			if err != nil {
				return err
			}
			_, err = p.Stdout.Write(text)
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "config.toml", "config `file`")
	completeFiles(cmd, "config", "toml")
	cmd.Flags().BoolVar(&dump, "dump", false, "print what is in force, defaults included")
	return cmd
}
