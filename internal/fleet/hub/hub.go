// Package hub is the fleet's hub: an ordinary nats-server, embedded or the user's own, on which it makes what members
// expect and beside which it runs what watches over them. It speaks NATS alone; what there is on the server is package
// fleet's.
package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/fleet"
)

// Task is a long job of the hub's, beside the server: it begins once streams and buckets are there, and ends when
// ctx does. On a cluster each server's hub runs it.
type Task func(ctx context.Context, js jetstream.JetStream) error

// Options say what a hub runs.
type Options struct {
	// Config is the file of an ordinary nats-server, which is run embedded. "": the server at Server.URL is somebody else's.
	Config string
	// Server is how the hub connects, with Name, Key and Log; URL and CA are for a server of somebody else.
	Server fleet.Options
	Bounds fleet.Bounds
	// Gateways that have data buckets, beside those that the config's accounts let publish truth.
	Gateways []string
	// Members, where there are some, are told who the config's accounts let in, now and whenever it is read again.
	Members *Members
	Hangups <-chan os.Signal // each one has the config read again
	Tasks   []Task
}

// retryWait is between attempts to set up a server that is not there yet, or a cluster that has no leader.
const retryWait = time.Second

// How long one attempt may take: the question whether JetStream is there, which a cluster without a leader does not answer,
// and all streams and buckets.
const (
	leaderLimit = 2 * time.Second
	setupLimit  = 30 * time.Second
)

// Run runs a hub until ctx ends (nil), or the reason why it cannot go on.
func Run(ctx context.Context, o Options) error {
	if o.Config == "" {
		return o.manage(ctx, nil)
	}
	if o.Members == nil {
		o.Members = &Members{}
	}
	s, err := start(ctx, o.Config, o.Members, o.Server.Log)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.fits(o.Bounds, len(o.gateways(s))); err != nil {
		return err
	}
	o.Server.InProcess = s.nats
	return o.manage(ctx, s)
}

// manage sets up the server and runs the tasks beside it. s is nil where it is somebody else's.
func (o Options) manage(ctx context.Context, s *embedded) error {
	log := o.Server.Log
	c, err := fleet.Connect(o.Server)
	if err != nil {
		return err
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		return fmt.Errorf("hub: JetStream's client: %w", err)
	}
	group, running := errgroup.WithContext(ctx)
	if s != nil {
		group.Go(func() error { return s.fatal(running) })
	}
	group.Go(func() error {
		if err := o.setup(running, c, js, o.gateways(s)); err != nil {
			return err
		}
		log.Info("hub: ready", "gateways", o.gateways(s))
		for _, task := range o.Tasks {
			group.Go(func() error { return task(running, js) })
		}
		return o.reload(running, c, js, s)
	})
	err = group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// gateways that are to have a bucket of data.
func (o Options) gateways(s *embedded) []string {
	if s == nil {
		return o.Gateways
	}
	return union(o.Gateways, s.members.Gateways())
}

// setup tries until the server can be reached and a cluster has its leader.
func (o Options) setup(ctx context.Context, c *nats.Conn, js jetstream.JetStream, gateways []string) error {
	said := ""
	for {
		err := o.setupOnce(ctx, c, js, gateways)
		if err == nil || ctx.Err() != nil || !later(err) {
			return err
		}
		if text := err.Error(); text != said {
			said = text
			o.Server.Log.Warn("hub: not set up yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryWait):
		}
	}
}

func (o Options) setupOnce(ctx context.Context, c *nats.Conn, js jetstream.JetStream, gateways []string) error {
	if !c.IsConnected() {
		return notConnected(c)
	}
	ask, done := context.WithTimeout(ctx, leaderLimit)
	_, err := js.AccountInfo(ask)
	done()
	if err != nil {
		return fmt.Errorf("hub: JetStream does not answer: %w", err)
	}
	try, done := context.WithTimeout(ctx, setupLimit)
	defer done()
	return fleet.Setup(try, js, o.Bounds, gateways)
}

func notConnected(c *nats.Conn) error {
	if err := c.LastError(); err != nil {
		return fmt.Errorf("hub: no server: %w", err)
	}
	return errors.New("hub: no server")
}

// later says whether what a server refused may go well later: it is not there, or a cluster has no leader or too few peers.
func later(err error) bool {
	var api *jetstream.APIError
	return !errors.As(err, &api) || api.Code == 503 || api.ErrorCode == noPeers
}

// noPeers is JSClusterNoPeersErrF.
const noPeers jetstream.ErrorCode = 10005

// reload reads the config again at each hangup, as a whole or not at all, and makes what new gateways need.
func (o Options) reload(ctx context.Context, c *nats.Conn, js jetstream.JetStream, s *embedded) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.Hangups:
		}
		if err := o.reloadOnce(ctx, c, js, s); err != nil {
			o.Server.Log.Error("hub: config not reloaded, the old one is in force", "error", err)
			continue
		}
		o.Server.Log.Info("hub: config reloaded", "gateways", o.gateways(s))
	}
}

func (o Options) reloadOnce(ctx context.Context, c *nats.Conn, js jetstream.JetStream, s *embedded) error {
	if s == nil {
		return errors.New("the server is not this program's: reload it itself")
	}
	if err := s.reload(); err != nil {
		return err
	}
	return o.setup(ctx, c, js, o.gateways(s))
}
