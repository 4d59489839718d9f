// Package member is what a gateway does for its fleet: it hands its truth over, says how it fares, hears what the hub
// desires of it, and answers when it is told to pause or to resume. What any of that means is for the daemon to say.
package member

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/fleet"
)

// Gateway is a gateway of a fleet. Its fields are set before Run.
type Gateway struct {
	Options fleet.Options
	Key     nkeys.KeyPair // the gateway's, that of Options
	Hub     string        // its public NKey
	Truth   string        // directory of the truth records; "": there are none
	State   string        // directory of its own, for what must outlive it
	// Beat says how the gateway fares, without what is of this package: Name, Role, Spool.
	Beat func() (fleet.Beat, error)
	// Take is told what the hub desires, and in the fault's place that it makes no sense.
	Take func(w Wish, fault error)
	// Do does what the hub tells, fleet.Pause or fleet.Resume.
	Do func(action string) (string, error)
	// With, if there is one, is what else is done with the connection until ctx ends.
	With func(ctx context.Context, c *nats.Conn, js jetstream.JetStream) error

	conn     atomic.Pointer[nats.Conn]
	heard    atomic.Bool // the hub has acknowledged the last beat
	uploader atomic.Pointer[Uploader]
}

// Files in Gateway.State: the uploader's cursor, and what the hub told that was done.
const (
	cursorFile  = "cursor"
	controlFile = "control.json"
)

// Run belongs to the fleet until ctx ends, which is no error. A hub that cannot be reached is none either. It runs once at
// a time.
func (g *Gateway) Run(ctx context.Context) error {
	o := g.Options
	o.Dialer = dialer{ctx}
	c, err := fleet.Connect(o)
	if err != nil {
		return err
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		return err
	}
	g.conn.Store(c)
	group, ctx := errgroup.WithContext(ctx)
	if g.Truth != "" {
		u := NewUploader(c, js, o.Name, g.Key, g.Truth, filepath.Join(g.State, cursorFile), o.Log)
		g.uploader.Store(u)
		group.Go(func() error { return u.Run(ctx) })
	}
	group.Go(func() error { return beatAlways(ctx, js, g.Key, g.beat, g.heard.Store, o.Log) })
	group.Go(func() error { return Watch(ctx, c, js, o.Name, g.Hub, g.Take, o.Log) })
	group.Go(func() error { return g.control().Run(ctx, c) })
	if g.With != nil {
		group.Go(func() error { return g.With(ctx, c, js) })
	}
	return group.Wait()
}

func (g *Gateway) control() *Control {
	return &Control{Name: g.Options.Name, Key: g.Key, Hub: g.Hub, Path: filepath.Join(g.State, controlFile), Do: g.Do, Log: g.Options.Log}
}

func (g *Gateway) beat() (fleet.Beat, error) {
	b, err := g.Beat()
	b.Name, b.Role, b.Spool = g.Options.Name, fleet.Gateway, g.Spool()
	return b, err
}

// Connected says whether the hub can be reached now, and hears this gateway.
func (g *Gateway) Connected() bool {
	c := g.conn.Load()
	return c != nil && c.IsConnected() && g.heard.Load()
}

// Spool says what of the truth is handed over and what is not.
func (g *Gateway) Spool() fleet.SpoolBeat {
	if u := g.uploader.Load(); u != nil {
		return u.Spool()
	}
	return fleet.SpoolBeat{}
}

// errAway says what the connection says itself in the log, with the reason.
var errAway = errors.New("the hub cannot be reached")

// unlessAway is err, where there is one, or that there is no connection, or one that may do nothing.
func unlessAway(c *nats.Conn, err error) error {
	if err != nil && (!c.IsConnected() || errors.Is(c.LastError(), nats.ErrPermissionViolation)) {
		return errAway
	}
	return err
}

func logUnlessAway(log *slog.Logger, err error, what string) {
	if !errors.Is(err, errAway) {
		log.Warn(what, "error", err)
	}
}

// dialer ends its attempts with ctx: a name server that does not answer must not hold up the end of the program.
type dialer struct{ ctx context.Context }

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, nats.DefaultTimeout)
	defer cancel()
	var n net.Dialer
	return n.DialContext(ctx, network, address)
}

// SkipHostLookup has the dialer look names up, which ctx ends, too.
func (d dialer) SkipHostLookup() bool { return true }
