package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	fleettrainer "pacgan-appliance/internal/fleet/trainer"
)

const (
	trainerLong = `Trains models for a fleet's gateways: takes their work from the hub, one at a time, verifies who signed the packets,
trains in a confined process, and puts the model, signed, on the hub's shelf. Start as many as there are machines:
one that ends or is killed leaves its work to another. A gateway trains for itself where none is there.`

	trainerExample = `  pacgan-appliance trainer --config /etc/pacgan-appliance/fleet/fleet.toml --state /var/lib/pacgan-trainer
  pacgan-appliance trainer --url tls://hub.lab.example:4222 --name big --key big.nk --ca ca.pem --trust UAHK... --state /var/lib/pacgan-trainer`
)

// trainerFlags are those of "trainer".
type trainerFlags struct {
	config    string // what server and trust are read from; "": flags have them
	server    fleet.Options
	trust     []string
	state     string
	maxMemory config.ByteSize
}

// trainerCommand trains for a fleet.
func (p *Program) trainerCommand() *cobra.Command {
	f := trainerFlags{maxMemory: config.Default().Train.MaxMemory}
	cmd := &cobra.Command{
		Use: "trainer (--config FILE | --url URL --name NAME --key FILE --trust KEY) --state DIR", Short: "Train models for a fleet's gateways", Long: trainerLong, Example: trainerExample,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.trainFleet(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "`file` with [fleet], as hub init makes it for a trainer: in place of the flags from --url to --trust")
	flags.StringVar(&f.server.URL, "url", "", "`URL` of the hub's servers, by commas")
	flags.StringVar(&f.server.Name, "name", "", "the trainer's `name` in the fleet")
	flags.StringVar(&f.server.Key, "key", "", "`file` of its NKey's seed, or of its credentials: it lets it in and signs the models")
	flags.StringVar(&f.server.CA, "ca", "", "`file` of the certificate that signed the servers' (default: the system's)")
	flags.StringSliceVar(&f.trust, "trust", nil, "public `NKey` of a gateway whose packets are learned (again for each)")
	flags.StringVar(&f.state, "state", "", "`directory` for packets and trainings, of this trainer alone")
	flags.Var(&f.maxMemory, "max-memory", "how much memory a training gets")
	_ = cmd.MarkFlagRequired("state") // it is there
	cmd.MarkFlagsOneRequired("config", "url")
	cmd.MarkFlagsRequiredTogether("url", "name", "key", "trust")
	for _, name := range []string{"url", "name", "key", "ca", "trust"} {
		cmd.MarkFlagsMutuallyExclusive("config", name)
	}
	completeFiles(cmd, "config", "toml")
	completeFiles(cmd, "key", "nk", "creds")
	completeFiles(cmd, "ca", "pem")
	completeDirectories(cmd, "state")
	return cmd
}

// read takes what the config file says in the flags' place.
func (f *trainerFlags) read() error {
	if f.config == "" {
		return nil
	}
	c, err := configLoader().LoadFleet(f.config)
	if err != nil {
		return err
	}
	if len(c.Trust) == 0 {
		return fmt.Errorf("%s: fleet.trust names no gateway whose packets are learned: add its public NKey", f.config)
	}
	f.server.URL, f.server.Name, f.server.Key, f.server.CA, f.trust = c.URL, c.Name, c.Key, c.CA, c.Trust
	return nil
}

func (p *Program) trainFleet(ctx context.Context, f trainerFlags) error {
	if err := f.read(); err != nil {
		return err
	}
	if err := fleet.CheckName(f.server.Name); err != nil {
		return usageError{fmt.Errorf("--name: %w", err)}
	}
	for _, key := range f.trust {
		if !nkeys.IsValidPublicUserKey(key) {
			return usagef("--trust %q: must be the public NKey of a gateway, which begins with U", key)
		}
	}
	key, err := fleet.LoadKey(f.server.Key)
	if err != nil {
		return err
	}
	log, err := newLogger(p.Stderr, slog.LevelInfo)
	if err != nil {
		return err
	}
	f.server.Log = log
	c, err := fleet.Connect(f.server)
	if err != nil {
		return err
	}
	defer c.Close()
	if f.state, err = filepath.Abs(f.state); err != nil {
		return err
	}
	return fleettrainer.Run(ctx, c, fleettrainer.Options{
		Name: f.server.Name, Key: key, Trust: f.trust, Dir: f.state, Version: p.Version, Log: log,
		Train: func(ctx context.Context, w fleet.Work, state string, say func(string)) (string, error) {
			last, err := trainChild(ctx, f.maxMemory, workArgs(w, state), func(e trainEvent) {
				say(fmt.Sprintf("%s, step %s of %s", w.Recipe, thousands(e.Step), thousands(e.Steps)))
			})
			return last.Model, err
		},
	})
}

// workArgs are train's for a work.
func workArgs(w fleet.Work, state string) []string {
	args := []string{"--state", state, "--only", strings.Join(w.Labels, ","), "--recipe", w.Recipe, "--seed", strconv.FormatUint(w.Seed, 10)}
	if w.RenewSecrets {
		args = append(args, "--renew-secrets")
	}
	return append(args, occasion{since: w.Since}.sinceArgs(w.Least)...)
}
