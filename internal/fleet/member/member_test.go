package member

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

type netTCPAddr = net.TCPAddr

// natsConn is a member's connection.
type natsConn struct {
	*nats.Conn
	js jetstream.JetStream
}

func mustConnect(tb testing.TB, url, name string) *natsConn {
	tb.Helper()
	c, err := fleet.Connect(fleet.Options{URL: url, Name: name, Log: slog.New(slog.DiscardHandler)})
	must(tb, err)
	tb.Cleanup(c.Close)
	js, err := jetstream.New(c)
	must(tb, err)
	return &natsConn{c, js}
}

// eventually polls until ok: the machine may be busy with other work.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), 2*time.Minute, errors.New(what))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatal(context.Cause(ctx))
		case <-tick.C:
		}
	}
}
