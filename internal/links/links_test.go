package links_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/links"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func mustIP(tb testing.TB, args string) {
	tb.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		tb.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// TestWatch changes an interface in all ways, and takes it away at last.
func TestWatch(t *testing.T) {
	labtest.RequireRoot(t)
	mustIP(t, "link add name lan0 type veth peer name far0")
	mustIP(t, "link set lan0 up")
	mustIP(t, "link set far0 up")
	w, err := links.New("lan0")
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan links.Change, 16)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(context.Background(), func(c links.Change) { changes <- c }) }()
	steps := []struct {
		do   string
		want []links.Change
	}{
		{"link set lan0 down", []links.Change{{"lan0", "is down: nothing passes it", true}}},
		{"link set lan0 up", []links.Change{{"lan0", "is up again", false}}},
		{"link set far0 down", []links.Change{{"lan0", "is down: nothing passes it", true}}}, // the cable is out
		{"link set far0 up", []links.Change{{"lan0", "is up again", false}}},
		{"link set lan0 mtu 900", []links.Change{{"lan0", "has an MTU of 900 now, 1500 before", false}}},
		{"link set lan0 name lan9", []links.Change{{"lan0", `is called "lan9" now: the config's name is wrong at the next start`, false}}},
	}
	for _, step := range steps {
		mustIP(t, step.do)
		var got []links.Change
		for range step.want {
			select {
			case c := <-changes:
				got = append(got, c)
			case <-time.After(10 * time.Second):
			}
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.do, diff)
		}
	}
	mustIP(t, "link del lan9")
	for range 2 { // the second time it is gone from the beginning
		if err := <-ended; !errors.Is(err, links.ErrGone) || !strings.HasPrefix(err.Error(), `interface "lan0" has gone`) {
			t.Errorf("error %v, want that lan0 has gone", err)
		}
		go func() { ended <- w.Run(context.Background(), func(links.Change) {}) }()
	}
	<-ended
}

func TestWatchEndsWithItsContext(t *testing.T) {
	labtest.RequireRoot(t)
	w, err := links.New("lo")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx, func(links.Change) {}); err != nil {
		t.Errorf("error %v, want none", err)
	}
	if _, err := links.New("nosuch0"); err == nil {
		t.Error("no error for an interface that is not there")
	}
}
