package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/hub"
)

var quiet = slog.New(slog.DiscardHandler)

var small = fleet.Bounds{TruthBytes: 64 << 20, DataBytes: 8 << 20, ModelBytes: 8 << 20, Replicas: 1}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// mustConfig writes a server's configuration with a store of its own.
func mustConfig(t *testing.T, format string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, hub.ConfigFile)
	must(t, os.WriteFile(path, []byte(strings.ReplaceAll(format, "STORE", filepath.Join(dir, "jetstream"))), 0o600))
	return path
}

// TestRefusedConfigs pins that each is refused with one line that names what is wrong.
func TestRefusedConfigs(t *testing.T) {
	for _, test := range []struct{ name, config, want string }{
		{"no JetStream", "listen: 127.0.0.1:-1", `no JetStream: write jetstream { store_dir: "...", sync_interval: always }`},
		{"lazy", `listen: 127.0.0.1:-1, jetstream { store_dir: "STORE" }`, "jetstream.sync_interval must be always"},
		{"every minute", `listen: 127.0.0.1:-1, jetstream { store_dir: "STORE", sync_interval: 1m }`, "jetstream.sync_interval must be always"},
		{"syntax", "listen: {", "hub.conf"},
		{"unknown key", "listne: 1", `unknown field "listne"`},
		{"no room", `listen: 127.0.0.1:-1, jetstream { store_dir: "STORE", sync_interval: always, max_file_store: 2M }`, "72 MiB for truth, models and data of 0 gateways, but JetStream may use 1 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := hub.Run(t.Context(), hub.Options{Config: mustConfig(t, test.config), Server: fleet.Options{Log: quiet}, Bounds: small})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, test.want)
			}
		})
	}
}

// TestPortTaken wants the server's own reason as the hub's, and the hub to end.
func TestPortTaken(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	must(t, err)
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("no server")
	}
	config := mustConfig(t, fmt.Sprintf(`listen: %q, jetstream { store_dir: "STORE", sync_interval: always }`, s.Addr()))
	err = hub.Run(t.Context(), hub.Options{Config: config, Server: fleet.Options{Name: "hub", Log: quiet}, Bounds: small})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v, want that the address is in use", err)
	}
}

// TestRunEnds wants a hub that is ready to run its tasks, and all of it to end soon after it is told to.
func TestRunEnds(t *testing.T) {
	config := mustConfig(t, `listen: 127.0.0.1:-1, jetstream { store_dir: "STORE", sync_interval: always }`)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan *jetstream.StreamInfo, 1), make(chan error, 1)
	task := func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "OBJ_"+fleet.DataBucket("a"))
		if err != nil {
			return err
		}
		ready <- s.CachedInfo()
		<-ctx.Done()
		return ctx.Err()
	}
	go func() {
		ended <- hub.Run(ctx, hub.Options{Config: config, Server: fleet.Options{Name: "hub", Log: quiet}, Bounds: small, Gateways: []string{"a"}, Tasks: []hub.Task{task}})
	}()
	select {
	case info := <-ready:
		if info.Config.MaxBytes != small.DataBytes {
			t.Errorf("bucket of %d bytes, want %d", info.Config.MaxBytes, small.DataBytes)
		}
	case err := <-ended:
		t.Fatalf("ended before it was ready: %v", err)
	}
	cancel()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(time.Minute): // 5 s on a machine that has nothing else to do
		t.Fatal("still runs a minute after it was told to end")
	}
}

// mustHub runs a hub until the test ends and returns once it is ready; what is sent has it read its config again.
func mustHub(t *testing.T, config string) chan<- struct{} {
	t.Helper()
	ready, ended, hangups, again := make(chan struct{}), make(chan error, 1), make(chan os.Signal), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	task := func(ctx context.Context, _ jetstream.JetStream) error {
		close(ready)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-again:
				hangups <- os.Interrupt // whichever it is
			}
		}
	}
	go func() {
		key := filepath.Join(filepath.Dir(config), hub.KeyFile)
		ended <- hub.Run(ctx, hub.Options{Config: config, Server: fleet.Options{Name: "hub", Key: key, Log: quiet}, Bounds: small, Tasks: []hub.Task{task}, Hangups: hangups})
	}()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("hub: %v", err)
	}
	return again
}
