// Package fleettest gives tests a NATS server with JetStream of their own.
package fleettest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

// Key is a member's, the same for the same name.
func Key(tb testing.TB, name string) nkeys.KeyPair {
	tb.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, seed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Public is the public one of Key.
func Public(tb testing.TB, name string) string {
	tb.Helper()
	public, err := Key(tb, name).PublicKey()
	if err != nil {
		tb.Fatal(err)
	}
	return public
}

// Keyring has a key for every name.
func Keyring(tb testing.TB) fleet.Keyring {
	return func(name string) string { return Public(tb, name) }
}

// Voice is the hub's, on a connection.
func Voice(tb testing.TB, c *nats.Conn) fleet.Voice {
	return fleet.Voice{Conn: c, Key: Key(tb, "hub"), Keys: Keyring(tb)}
}

// startLimit is for a busy machine.
const startLimit = time.Minute

// Server runs a server on loopback that lets everybody in, keeps its files in dir, and ends with the test. Port 0 is any;
// the same port and dir again are the server that comes back.
func Server(tb testing.TB, dir string, port int) *server.Server {
	tb.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, AlwaysEnableNonce: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		tb.Fatal(err)
	}
	s.Start()
	tb.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(startLimit) {
		tb.Fatal("NATS server: not ready for connections")
	}
	return s
}

// Hub is Server with the fleet's streams and buckets, and a connection of the hub's.
func Hub(tb testing.TB, gateways ...string) (*server.Server, jetstream.JetStream) {
	tb.Helper()
	s := Server(tb, tb.TempDir(), 0)
	c, err := nats.Connect(s.ClientURL())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	if err := fleet.Setup(tb.Context(), js, fleet.Bounds{TruthBytes: 1 << 30, DataBytes: 1 << 28, ModelBytes: 1 << 28, Replicas: 1}, gateways); err != nil {
		tb.Fatal(err)
	}
	return s, js
}
