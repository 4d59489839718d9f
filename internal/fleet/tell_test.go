package fleet_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

// mustListen has a gateway answer what it is told, in its own name.
func mustListen(tb testing.TB, c *nats.Conn, subject, by string, answer func(fleet.Control) []byte) {
	tb.Helper()
	if _, err := c.Subscribe(subject, func(m *nats.Msg) {
		var told fleet.Control
		text, err := fleet.Open(fleettest.Public(tb, "hub"), subject, m.Data)
		if err == nil {
			err = json.Unmarshal(text, &told)
		}
		if err != nil || told.ID == "" || time.Since(told.Time).Abs() > time.Minute {
			tb.Errorf("told %+v, %v", told, err)
		}
		if text := answer(told); text != nil {
			if err := m.Respond(mustSeal(tb, by, m.Reply, string(text))); err != nil {
				tb.Error(err)
			}
		}
	}); err != nil {
		tb.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		tb.Fatal(err)
	}
}

func mustDial(tb testing.TB, url string) *nats.Conn {
	tb.Helper()
	c, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func TestTell(t *testing.T) {
	says := func(text string) func(fleet.Control) []byte {
		return func(fleet.Control) []byte { return []byte(text) }
	}
	mute := func(fleet.Control) []byte { return nil }
	tests := []struct {
		name     string
		gateways []func(fleet.Control) []byte // of a, b and c
		awaited  []string
		wait     time.Duration // long where answers must come, and short where none does
		want     fleet.Told
	}{
		{"all answer", []func(fleet.Control) []byte{
			says(`{"gateway":"a","error":"kernel: gone"}`), func(c fleet.Control) []byte {
				return []byte(`{"gateway":"b","message":"` + c.Action + " by " + c.By + `"}`)
			},
		}, []string{"a", "b"}, time.Minute, fleet.Told{Replies: []fleet.ControlReply{{Gateway: "a", Error: "kernel: gone"}, {Gateway: "b", Message: "pause by test"}}}},
		{"one is silent, one nobody knew answers", []func(fleet.Control) []byte{mute, says(`{"gateway":"b"}`)}, []string{"a", "lost"}, 3 * time.Second,
			fleet.Told{Replies: []fleet.ControlReply{{Gateway: "b"}}, Silent: []string{"a", "lost"}}},
		{"nonsense is no answer", []func(fleet.Control) []byte{says(`{`), says(`{"gateway":"<b>"}`), says(`{"gateway":"all"}`)}, []string{"a"}, time.Second, fleet.Told{Silent: []string{"a"}}},
		{"the first answer counts", []func(fleet.Control) []byte{says(`{"gateway":"a","message":"1"}`)}, nil, 3 * time.Second, fleet.Told{Replies: []fleet.ControlReply{{Gateway: "a", Message: "1"}}}},
		{"in another's name", []func(fleet.Control) []byte{says(`{"gateway":"b","message":"paused"}`)}, []string{"b"}, time.Second, fleet.Told{Silent: []string{"b"}}},
		{"nobody listens", nil, []string{"a"}, time.Second, fleet.Told{Silent: []string{"a"}}},
	}
	s := fleettest.Server(t, t.TempDir(), 0)
	hub := mustDial(t, s.ClientURL())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, answer := range tt.gateways {
				mustListen(t, mustDial(t, s.ClientURL()), fleet.ControlAll, string(rune('a'+i)), answer)
			}
			got, err := fleet.Tell(t.Context(), fleettest.Voice(t, hub), fleet.ControlAll, fleet.Control{Action: fleet.Pause, By: "test"}, tt.awaited, tt.wait)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTellWithoutServer wants no silence to be taken for the gateways' when nobody can have heard.
func TestTellWithoutServer(t *testing.T) {
	s := fleettest.Server(t, t.TempDir(), 0)
	c, err := nats.Connect(s.ClientURL(), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.Shutdown()
	s.WaitForShutdown()
	if _, err := fleet.Tell(t.Context(), fleettest.Voice(t, c), fleet.ControlAll, fleet.Control{Action: fleet.Pause}, []string{"a"}, fleet.AnswerWithin); err == nil {
		t.Error("no error")
	}
}

func TestToldFailed(t *testing.T) {
	told := fleet.Told{Replies: []fleet.ControlReply{{Gateway: "a"}, {Gateway: "b", Error: "no"}}}
	if diff := cmp.Diff([]fleet.ControlReply{{Gateway: "b", Error: "no"}}, told.Failed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
