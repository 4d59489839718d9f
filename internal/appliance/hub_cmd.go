package appliance

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
	"pacgan-appliance/internal/fleet/hubpage"
	"pacgan-appliance/internal/fleet/rollout"
)

const (
	hubLong = `Runs the hub of a fleet of gateways: a nats-server with JetStream from its ordinary configuration file, as
"hub init" writes one, and beside it what makes the streams and buckets that members need and rolls models out.
With --url the server, or the cluster, is your own, and only the latter is run. SIGHUP reads the configuration
again, as a whole or not at all; SIGTERM ends it. One gateway alone needs no hub.`

	hubExample = `  pacgan-appliance hub init hub --host hub.lab.example --gateway lab-a --gateway lab-b --trainer big
  pacgan-appliance hub --config hub/hub.conf
  pacgan-appliance hub --url tls://nats.example:4222 --key hub.nk --ca ca.pem --accounts accounts.conf --replicas 3`
)

// hubName is the hub's name among members.
const hubName = "hub"

// hubFlags are those of "hub".
type hubFlags struct {
	config, url, key, ca, accounts, page string
	watch                                time.Duration
	truth, models, data, memory          config.ByteSize
	replicas                             int
}

// hubCommand is about the fleet's hub.
func (p *Program) hubCommand() *cobra.Command {
	f := hubFlags{truth: 4 << 30, models: 1 << 30, data: 256 << 20, memory: 384 << 20}
	cmd := &cobra.Command{
		Use: "hub --config FILE | --url URL", Short: "The hub of a fleet of gateways: a NATS server", Long: hubLong, Example: hubExample, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.hub(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "nats-server's configuration `file`: runs that server")
	flags.StringVar(&f.url, "url", "", "`URL` of your own server, or of a cluster's servers by commas")
	flags.StringVar(&f.key, "key", "", "`file` of the hub's NKey or credentials (default: hub.nk beside the configuration)")
	flags.StringVar(&f.ca, "ca", "", "`file` of the certificate that signed your own server's")
	flags.StringVar(&f.accounts, "accounts", "", accountsUsage)
	flags.Var(&f.truth, "truth", "how much truth is kept, the oldest goes first")
	flags.Var(&f.models, "models", "how much room models have")
	flags.Var(&f.data, "data", "how much room the data sets of one gateway have")
	flags.Var(&f.memory, "memory", "how much memory the hub is to do with: beyond it more time goes into giving memory back")
	flags.DurationVar(&f.watch, "watch", time.Minute, "how long a gateway's success is watched after it took a model, before others get it")
	flags.IntVar(&f.replicas, "replicas", 1, "on how many servers of a cluster each message is kept: 3 survives the loss of one")
	flags.StringVar(&f.page, "page", hubpage.DefaultAddress, "loopback `address` of the page, or "+noPage)
	cmd.MarkFlagsMutuallyExclusive("config", "url")
	cmd.MarkFlagsOneRequired("config", "url")
	cmd.MarkFlagsMutuallyExclusive("config", "accounts")
	completeFiles(cmd, "config", "conf")
	completeFiles(cmd, "accounts", "conf")
	completeFiles(cmd, "key", "nk", "creds")
	completeFiles(cmd, "ca", "pem")
	cmd.AddCommand(p.hubInitCommand(), p.hubAddCommand())
	return cmd
}

func (p *Program) hub(ctx context.Context, f hubFlags) error {
	if f.replicas < 1 || f.replicas > 5 {
		return usagef("--replicas %d: must be 1 to 5", f.replicas)
	}
	if err := checkPage(f.page); err != nil {
		return err
	}
	if f.config != "" && f.key == "" {
		f.key = filepath.Join(filepath.Dir(f.config), hub.KeyFile)
	}
	if f.key == "" {
		return usagef("--key is missing: the file of the hub's NKey, which signs what members take from the hub alone")
	}
	log, err := newLogger(p.Stderr, slog.LevelInfo)
	if err != nil {
		return err
	}
	key, err := fleet.LoadKey(f.key)
	if err != nil {
		return err
	}
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	members := &hub.Members{}
	if f.url != "" {
		if members, err = readAccounts(f.accounts); err != nil {
			return err
		}
	}
	// What the server has just stored lies in buffers that the garbage collector alone gives back: without a limit it lets
	// twice of what is in use lie.
	debug.SetMemoryLimit(int64(f.memory))
	log.Info("hub: members know it by its key", "fleet.hub", public)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	return hub.Run(ctx, hub.Options{
		Config:   f.config,
		Server:   fleet.Options{URL: f.url, Name: hubName, Key: f.key, CA: f.ca, Log: log},
		Bounds:   fleet.Bounds{TruthBytes: int64(f.truth), DataBytes: int64(f.data), ModelBytes: int64(f.models), Replicas: f.replicas},
		Gateways: members.Gateways(),
		Members:  members,
		Hangups:  hangups,
		Tasks:    append([]hub.Task{tellSystemd}, hubTasks(f, fleetKeys{key, members.Key}, log)...),
	})
}

// hubTasks are what runs beside the server once streams and buckets are there: the hub's page, and the rollout of models.
func hubTasks(f hubFlags, keys fleetKeys, log *slog.Logger) []hub.Task {
	return []hub.Task{pageTask(f.page, keys, log), func(ctx context.Context, js jetstream.JetStream) error {
		return rollout.Run(ctx, js, rollout.Options{Key: keys.own, Keys: keys.of, Watch: f.watch, Log: log})
	}}
}

// tellSystemd says that the hub is ready, where systemd started it, and that it ends.
func tellSystemd(ctx context.Context, _ jetstream.JetStream) error {
	_, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	<-ctx.Done()
	_, stopping := daemon.SdNotify(false, daemon.SdNotifyStopping)
	return errors.Join(err, stopping)
}
