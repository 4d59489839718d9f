package appliance

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"pacgan-appliance/internal/fleet"
)

const (
	fleetSetLong = `Lays a piece of config over a gateway's own: [safety], [inject], [train] and [[label]] alone. Its safety may only
narrow what the gateway's own file allows. The gateway takes it as a whole or not at all, and keeps it while the hub is
away; the command waits for what it says, and ends with exit code 1 if it refuses.`

	fleetUnsetLong = `Takes away what "fleet set" laid over a gateway's config: its own file alone is in force again.`
)

func (p *Program) fleetSetCommand(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "set GATEWAY FILE.toml --hub DIR", Short: "Lay a piece of config over a gateway's own", Long: fleetSetLong,
		Example: "  pacgan-appliance fleet set lab-a slower.toml --hub hub", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[1])
			if err != nil {
				return err
			}
			return p.fleetSet(cmd.Context(), f, args[0], string(text))
		},
	}
}

func (p *Program) fleetUnsetCommand(f *fleetFlags) *cobra.Command {
	return &cobra.Command{
		Use: "unset GATEWAY --hub DIR", Short: "Take that piece of config away", Long: fleetUnsetLong,
		Example: "  pacgan-appliance fleet unset lab-a --hub hub", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.fleetSet(cmd.Context(), f, args[0], "") },
	}
}

func (p *Program) fleetSet(ctx context.Context, f *fleetFlags, gateway, config string) error {
	if err := fleet.CheckName(gateway); err != nil {
		return usageError{err}
	}
	keys, err := f.keys()
	if err != nil {
		return err
	}
	return f.with(ctx, func(ctx context.Context, _ *nats.Conn, js jetstream.JetStream) error {
		revision, err := setConfig(ctx, js, keys.own, gateway, config)
		if err != nil {
			return err
		}
		return p.awaitTaken(ctx, js, keys.of, gateway, revision)
	})
}

// setConfig changes the config that is desired of a gateway and nothing else of its Desired.
func setConfig(ctx context.Context, js jetstream.JetStream, key nkeys.KeyPair, gateway, config string) (revision uint64, err error) {
	bucket, err := js.KeyValue(ctx, fleet.DesiredBucket)
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", fleet.DesiredBucket, err)
	}
	return fleet.ChangeDesired(ctx, bucket, key, gateway, func(d *fleet.Desired) bool { d.Config = config; return true })
}

// awaitTaken waits for the gateway to say what it made of a revision.
func (p *Program) awaitTaken(ctx context.Context, js jetstream.JetStream, keys fleet.Keyring, gateway string, revision uint64) error {
	bucket, err := js.KeyValue(ctx, fleet.BeatBucket)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", fleet.BeatBucket, err)
	}
	watch, err := bucket.Watch(ctx, gateway)
	if err != nil {
		return fmt.Errorf("beats of %s: %w", gateway, err)
	}
	defer func() { _ = watch.Stop() }() // of a connection that is lost: none is left
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("revision %d is set, but %s has not said within %s that it is in force: it takes it up when it is back", revision, gateway, fleetPatience.Round(time.Second))
		case e := <-watch.Updates():
			if e == nil {
				continue
			}
			b, err := fleet.OpenBeat(keys, gateway, e.Value())
			if err != nil {
				continue // another one says it
			}
			if b.Refused != nil && b.Refused.Revision >= revision {
				return fmt.Errorf("%s refuses revision %d: %s", gateway, b.Refused.Revision, b.Refused.Reason)
			}
			if b.Applied >= revision {
				_, err := fmt.Fprintf(p.Stdout, "%s: revision %d is in force\n", gateway, b.Applied)
				return err
			}
		}
	}
}
