package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"pacgan-appliance/internal/fleet"
)

// startLimit is until a server takes connections: JetStream reads its files before.
const startLimit = 10 * time.Minute

// embedded is a nats-server in this process.
type embedded struct {
	nats    *server.Server
	config  string
	members *Members   // of the accounts; start and reload set them
	died    chan error // what the server itself calls fatal
}

// start runs a server and returns once it takes connections.
func start(ctx context.Context, config string, members *Members, log *slog.Logger) (*embedded, error) {
	options, err := read(config)
	if err != nil {
		return nil, err
	}
	if err := members.take(config, options); err != nil {
		return nil, err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", config, err)
	}
	e := &embedded{nats: s, config: config, members: members, died: make(chan error, 1)}
	s.SetLoggerV2(&logger{log: log.With("component", "nats"), died: e.died}, options.Debug, options.Trace, false)
	s.Start()
	for deadline := time.Now().Add(startLimit); !s.ReadyForConnections(readyStep); {
		err := e.dead()
		switch {
		case err == nil && ctx.Err() != nil:
			err = ctx.Err()
		case err == nil && time.Now().After(deadline):
			err = fmt.Errorf("%s: the server takes no connections after %s", config, startLimit)
		}
		if err != nil {
			e.stop()
			return nil, err
		}
	}
	return e, nil
}

// readyStep is how often a server that starts is asked whether it died.
const readyStep = 100 * time.Millisecond

// read parses a config and refuses one on which the fleet could lose what was acknowledged.
func read(config string) (*server.Options, error) {
	o, err := server.ProcessConfigFile(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", config, oneLine(err))
	}
	o.NoSigs = true // signals are this program's
	switch {
	case !o.JetStream:
		return nil, fmt.Errorf(`%s: no JetStream: write jetstream { store_dir: "...", sync_interval: always }`, config)
	case !o.SyncAlways:
		return nil, fmt.Errorf("%s: jetstream.sync_interval must be always: with any other a power failure loses records that gateways were told are kept", config)
	case o.DontListen:
		return nil, fmt.Errorf("%s: dont_listen: a hub without a port has no members", config)
	}
	return o, nil
}

// oneLine joins what the parser says on several.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// reload takes up the changed config, as a whole or not at all.
func (e *embedded) reload() error {
	o, err := read(e.config)
	if err != nil {
		return err
	}
	members, err := membersOf(o) // options may not be used any more once they were handed over
	if err != nil {
		return fmt.Errorf("%s: %w", e.config, err)
	}
	if err := e.nats.ReloadOptions(o); err != nil {
		return fmt.Errorf("%s: %s", e.config, oneLine(err))
	}
	e.members.read.Store(members)
	return nil
}

// union is both, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// fits refuses bounds for which the server keeps no room, before JetStream says so with less to go by.
func (e *embedded) fits(b fleet.Bounds, gateways int) error {
	js := e.nats.JetStreamConfig()
	if js == nil {
		return errors.New("hub: JetStream did not start: the log says why")
	}
	want := b.TruthBytes + b.ModelBytes + int64(gateways)*b.DataBytes
	if want > js.MaxStore {
		return fmt.Errorf("hub: %d MiB for truth, models and data of %d gateways, but JetStream may use %d MiB of %s: lower --truth, --models or --data, or raise jetstream.max_file_store",
			want>>20, gateways, js.MaxStore>>20, js.StoreDir)
	}
	return nil
}

// fatal returns when ctx ends, or with what ended the server.
func (e *embedded) fatal(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-e.died:
		return err
	}
}

func (e *embedded) dead() error {
	select {
	case err := <-e.died:
		return err
	default:
		return nil
	}
}

func (e *embedded) stop() {
	e.nats.Shutdown()
	e.nats.WaitForShutdown()
}
