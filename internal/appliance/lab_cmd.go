package appliance

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab"
)

// labOptions are the lab's flags.
type labOptions struct {
	labels         []string // none: what the lab's clients speak, and with ids what it flags
	capturePackets int      // of each label
	generate       int      // packets of each label
	rate           float64  // packets per second over all labels
	seed           uint64
	recipe         string
	steps          int      // of adversarial training; 0: the recipe's default
	paper          []string // settings of recipe paper
	threads        int      // of training; 0: one for each processor
	resume         bool     // go on with what an earlier run left in state
	servers        string
	ids            string // the sensor beside the servers, "" for none
	json           string // file for the report, "" for none
	keep           bool
	truth          string // directory of records, "" for none
	state          string // directory for captures and models, "" for a new temporary one
}

const (
	labLong = `The whole job on this machine, with no config: three network namespaces (LAN, gateway, servers), real
clients that talk to real servers, their packets captured and learned, then generated ones injected, and
the answers counted. With --ids a sensor watches the servers' interface, and testers join the clients: what
they send is harmless, answered like the rest, and flagged by the sensor's local rules. It needs root and
touches nothing outside the namespaces that it makes.`

	labExample = `  pacgan-appliance lab
  pacgan-appliance lab --servers system --seed 2 --json report.json
  pacgan-appliance lab --ids suricata`
)

// labCommand is the demonstration that runs what the daemon runs.
func (p *Program) labCommand() *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:     "lab",
		Short:   "The whole job on one machine: network, clients, capture, training, injection, answers",
		Long:    labLong,
		Example: labExample,
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.labels, "labels", nil, "kinds of traffic (default: "+strings.Join(lab.Labels(), ",")+"; with --ids "+strings.Join(lab.Flagged(), ",")+" too)")
	flags.IntVar(&o.capturePackets, "capture-packets", 2000, "packets to capture of each label")
	flags.IntVar(&o.generate, "generate", 3000, "packets to generate and inject of each label")
	flags.Float64Var(&o.rate, "rate", 200, "packets per second over all labels")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of all that is random")
	flags.StringVar(&o.recipe, "recipe", "gan", "what to train: gan, paper or tree")
	flags.IntVar(&o.steps, "steps", 0, "steps of adversarial training; 0: the recipe's default")
	flags.StringSliceVar(&o.paper, "paper", nil, paperUsage)
	flags.IntVar(&o.threads, "threads", 0, "threads that train; 0: one for each processor")
	flags.StringVar(&o.servers, "servers", string(lab.Embedded), "embedded, or system: nginx, unbound, ping, dig and curl")
	flags.StringVar(&o.ids, "ids", "", "the sensor beside the servers: suricata, or none")
	flags.StringVar(&o.json, "json", "", "write the result to `file` as JSON")
	flags.BoolVar(&o.keep, "keep", false, "leave the network up at the end, until Ctrl-C")
	flags.StringVar(&o.state, "state", "", "`directory` for captures and models; it must be empty (default: a new temporary one)")
	completeChoices(cmd, "labels", append(lab.Labels(), lab.Flagged()...)...)
	completeChoices(cmd, "recipe", recipes()...)
	completeChoices(cmd, "servers", string(lab.Embedded), string(lab.System))
	completeChoices(cmd, "ids", lab.Sensors()...)
	completeFiles(cmd, "json", "json")
	flags.StringVar(&o.truth, "truth", "", truthUsage)
	completeDirectories(cmd, "state")
	completeDirectories(cmd, "truth")
	flags.BoolVar(&o.resume, "resume", false, "go on in --state with what an earlier run captured and trained there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("labels") {
			o.labels = defaultLabels(o.ids)
		}
		if err := o.check(); err != nil {
			return usageError{err}
		}
		if lab.Inside() {
			return p.runLab(cmd.Context(), o)
		}
		code, err := lab.Supervise(os.Args[1:])
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		if code != ExitDone {
			return exitError{code}
		}
		return nil
	}
	return cmd
}

// check refuses flags that cannot be meant, before anything is made.
func (o labOptions) check() error {
	if _, err := chooseLabels(o.labels); err != nil {
		return err
	}
	if _, err := lab.ParseServers(o.servers); err != nil {
		return err
	}
	if _, err := lab.ParseSensor(o.ids); err != nil {
		return err
	}
	switch {
	case len(o.labels) == 0:
		return errors.New("--labels: name at least one of " + strings.Join(append(lab.Labels(), lab.Flagged()...), ", "))
	case o.capturePackets < config.MinTrainable:
		return fmt.Errorf("--capture-packets %d: at least %d are needed to train", o.capturePackets, config.MinTrainable)
	case o.generate < 1:
		return fmt.Errorf("--generate %d: at least 1", o.generate)
	case o.rate <= 0 || o.rate > config.MaxRate:
		return fmt.Errorf("--rate %g: more than 0 and at most %g packets per second", o.rate, float64(config.MaxRate))
	case o.resume && o.state == "":
		return errors.New("--resume: name the earlier run's directory with --state")
	case o.steps < 0:
		return fmt.Errorf("--steps %d: 0 or more", o.steps)
	}
	return checkRecipe(o.recipe)
}
