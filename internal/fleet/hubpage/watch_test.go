package hubpage

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

// mustServe runs the page on a hub of two gateways until the test ends, and is its address.
func mustServe(tb testing.TB, js jetstream.JetStream) (*Page, string) {
	tb.Helper()
	p, err := New(Options{JetStream: js, Key: fleettest.Key(tb, "hub"), Keys: fleettest.Keyring(tb), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	p.every = 100 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return p, "http://" + l.Addr().String()
}

func mustPut(tb testing.TB, js jetstream.JetStream, by, bucket, key string, v any) {
	tb.Helper()
	eventually(tb, "put "+key, func() bool { // the server may be just coming back
		ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
		defer cancel()
		kv, err := js.KeyValue(ctx, bucket)
		if err != nil {
			return false
		}
		sealed, err := fleet.SealJSON(fleettest.Key(tb, by), fleet.KeySubject(bucket, key), v)
		if err != nil {
			tb.Fatal(err)
		}
		_, err = kv.Put(ctx, key, sealed)
		return err == nil
	})
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			tb.Fatal(what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestFollowsBuckets wants what is written into them to be seen, also by a server that went away and came back.
func TestFollowsBuckets(t *testing.T) {
	dir := t.TempDir()
	s := fleettest.Server(t, dir, 0)
	c, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p, url := mustServe(t, js) // before there is any bucket
	if err := fleet.Setup(t.Context(), js, fleet.Bounds{TruthBytes: 1 << 20, DataBytes: 1 << 20, ModelBytes: 1 << 20, Replicas: 1}, []string{"lab-a", "lab-b"}); err != nil {
		t.Fatal(err)
	}
	state := func(name string) func() string {
		return func() string {
			if g := p.view().gateway(name); g != nil {
				return g.State
			}
			return ""
		}
	}
	a := state("lab-a")
	mustPut(t, js, "lab-a", fleet.BeatBucket, "lab-a", fleet.Beat{Name: "lab-a", Role: fleet.Gateway, State: "injecting"})
	mustPut(t, js, "hub", fleet.DesiredBucket, "lab-a", fleet.Desired{})
	mustPut(t, js, "hub", fleet.RolloutBucket, "w1", fleet.Rollout{State: fleet.RolloutFirst})
	eventually(t, "the beat is not seen", func() bool { return a() == "injecting" })
	eventually(t, "what is desired and the rollout are not seen", func() bool {
		v := p.view()
		return v.gateway("lab-a").Desired == 1 && len(v.Under) == 1
	})
	for _, by := range []string{"lab-b", "hub"} { // who is neither the member nor the hub
		mustPut(t, js, by, fleet.BeatBucket, "lab-b", fleet.Beat{Name: "lab-a", State: "injecting"})
		mustPut(t, js, "lab-b", fleet.RolloutBucket, "w2"+by, fleet.Rollout{State: fleet.RolloutFirst})
	}
	mustPut(t, js, "lab-b", fleet.BeatBucket, "lab-a", fleet.Beat{Name: "lab-a", State: "failing"})
	mustPut(t, js, "hub", fleet.RolloutBucket, "w3", fleet.Rollout{State: fleet.RolloutFirst})
	eventually(t, "what is the hub's is not seen behind what is not", func() bool { return len(p.view().Under) == 2 && a() == "injecting" })
	eventually(t, "the gateway that never came is not expected", func() bool { return state("lab-b")() == never })
	at := port(t, s)
	s.Shutdown()
	s.WaitForShutdown()
	eventually(t, "the lost server is not seen", func() bool { return !p.view().Connected })
	fleettest.Server(t, dir, at)
	mustPut(t, js, "lab-a", fleet.BeatBucket, "lab-a", fleet.Beat{Name: "lab-a", State: "paused"})
	eventually(t, "the beat after the server's return is not seen", func() bool { return a() == "paused" })
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
}

func port(tb testing.TB, s *server.Server) int {
	tb.Helper()
	a, ok := s.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("address %v", s.Addr())
	}
	return a.Port
}
