package appliance

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

const (
	hubInitLong = `Makes a directory with all that a hub runs with: a certificate for its host names and the authority that
signed it, an NKey for each member, nats-server's configuration, and accounts that let each member do what its
role needs and no more. Each member's own directory, below members/, goes to its machine, as
/etc/pacgan-appliance/fleet, and the lines of its fleet.toml into that machine's config. Nothing is overwritten.`

	hubInitExample = `  pacgan-appliance hub init hub --host hub.lab.example --host 10.0.0.5 --gateway lab-a --gateway lab-b --trainer big`

	hubAddLong = `Adds a gateway or a trainer to a hub that "hub init" made. The hub lets it in once it has read its configuration
again (SIGHUP). Members that are there already trust the new one's objects once its key, which is printed, stands in
their fleet.trust.`

	hubAddExample = `  pacgan-appliance hub add gateway lab-c hub && systemctl reload pacgan-appliance-hub`
)

// natsPort is where NATS servers listen (IANA).
const natsPort = 4222

func (p *Program) hubInitCommand() *cobra.Command {
	plan := hub.Plan{Port: natsPort}
	cmd := &cobra.Command{
		Use: "init DIR --host NAME", Short: "Make keys, certificates and configuration of a hub and its members", Long: hubInitLong, Example: hubInitExample,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.hubInit(args[0], plan) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&plan.Hosts, "host", nil, "`name` or address by which members reach the hub (again for each; the first stands in their configs)")
	flags.StringSliceVar(&plan.Gateways, "gateway", nil, "`name` of a gateway (again for each)")
	flags.StringSliceVar(&plan.Trainers, "trainer", nil, "`name` of a trainer (again for each)")
	flags.IntVar(&plan.Port, "port", plan.Port, "the server's `port`")
	mustFlag(cmd.MarkFlagRequired("host"))
	return cmd
}

func (p *Program) hubInit(dir string, plan hub.Plan) error {
	if err := hub.Init(dir, plan); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Stdout, `hub %s
start it: pacgan-appliance hub --config %s
members' directories, each for its own machine: %s
`, dir, filepath.Join(dir, hub.ConfigFile), filepath.Join(dir, "members"))
	return err
}

func (p *Program) hubAddCommand() *cobra.Command {
	return &cobra.Command{
		Use: "add gateway|trainer NAME DIR", Short: "Add a member to a hub", Long: hubAddLong, Example: hubAddExample,
		Args:      cobra.ExactArgs(3),
		ValidArgs: []string{string(fleet.Gateway), string(fleet.Trainer)},
		RunE:      func(_ *cobra.Command, args []string) error { return p.hubAdd(args[0], args[1], args[2]) },
	}
}

func (p *Program) hubAdd(role, name, dir string) error {
	if role != string(fleet.Gateway) && role != string(fleet.Trainer) {
		return usagef("role %q: must be gateway or trainer", role)
	}
	public, err := hub.Add(dir, fleet.Role(role), name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Stdout, "%s %s %s\nits directory: %s\nreload the hub: systemctl reload pacgan-appliance-hub, or kill -HUP\n", role, name, public, filepath.Join(dir, "members", name))
	return err
}
