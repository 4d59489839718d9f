package inject_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// eachEngine runs a test with every engine.
func eachEngine(t *testing.T, test func(t *testing.T, engine inject.Engine)) {
	for _, engine := range []inject.Engine{inject.EngineSendmmsg, inject.EngineXDP} {
		t.Run(string(engine), func(t *testing.T) { test(t, engine) })
	}
}

// TestAutoMeasures: both engines are tried, the faster is kept, and what was
// sent to measure them is in no count.
func TestAutoMeasures(t *testing.T) {
	n := newNetwork(t, networkOptions{engine: inject.EngineAuto})
	choice := n.injector.Engine()
	rates := choice.Measured
	if choice.Missing != nil || rates[inject.EngineSendmmsg] <= 0 || rates[inject.EngineXDP] <= 0 {
		t.Fatalf("measured %+v", choice)
	}
	if faster := rates[inject.EngineXDP] > rates[inject.EngineSendmmsg]; faster != (choice.Engine == inject.EngineXDP) {
		t.Errorf("chose %v", choice)
	}
	if s := choice.String(); !strings.HasPrefix(s, string(choice.Engine)+" (") || !strings.Contains(s, " packets/s, ") {
		t.Errorf("in words: %q", s)
	}
	drops, err := n.injector.Drops()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inject.Drops{}, drops); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
	got := n.inject(t, pings(t, 100, pingServer), inject.RunOptions{})[ping]
	want := account{Label: "ping", Generated: 100, Answered: 100, OnWire: 100}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// TestWireGoesDownAndComesBack: while the wire is down packets fail, and are
// counted as such; afterwards they are answered again, without help.
func TestWireGoesDownAndComesBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		set := func(state string) func() {
			return func() { mustRun(t, gatewayCommand("ip", "link", "set", "wan0", state)) }
		}
		source := &scripted{packets: packets{list: pings(t, 3000, pingServer)}, at: map[int]func(){1000: set("down"), 2000: set("up")}}
		if _, err := n.injector.Run(t.Context(), source, inject.RunOptions{Rate: 1000}); err != nil {
			t.Fatal(err)
		}
		got := n.settled(t)[ping]
		if got.Failed[inject.ReasonNoRoute] < 500 || got.Answered < 1000 {
			t.Errorf("%+v", got)
		}
		before := got.Answered
		got = n.inject(t, pings(t, 200, pingServer), inject.RunOptions{Rate: 1000})[ping]
		if got.Answered != before+200 {
			t.Errorf("%d of 200 answered once the wire is back: %+v", got.Answered-before, got)
		}
	})
}

// scripted is a source that does something before some of its packets.
type scripted struct {
	packets
	at map[int]func()
}

func (s *scripted) Next() (inject.Packet, error) {
	if call := s.at[s.next]; call != nil {
		call()
	}
	return s.packets.Next()
}

// TestCableGoesDownAndComesBack: what the kernel refuses is counted under its
// own words, in either engine, and nothing of it leaves later.
func TestCableGoesDownAndComesBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		n.inject(t, pings(t, 1, pingServer), inject.RunOptions{})
		mustRun(t, gatewayCommand("ip", "link", "set", "inj0", "down"))
		got := n.inject(t, pings(t, 200, pingServer), inject.RunOptions{})[ping]
		if failed := got.Failed["send: network is down"]; failed != 200 {
			t.Errorf("%d failed: %+v", failed, got)
		}
		mustRun(t, gatewayCommand("ip", "link", "set", "inj0", "up"))
		w := newWitness(t, "wan0")
		got = n.inject(t, pings(t, 300, pingServer), inject.RunOptions{})[ping]
		want := account{Label: "ping", Generated: 501, Answered: 301, OnWire: 301, Failed: map[string]uint64{"send: network is down": 200}}
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		if seen := len(w.frames(t, true)); seen != 300 {
			t.Errorf("%d frames on the wire, want 300", seen)
		}
	})
}

// TestCableIsTakenAway: a run ends with an error once it cannot send.
func TestCableIsTakenAway(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		n.inject(t, pings(t, 1, pingServer), inject.RunOptions{})
		mustRun(t, gatewayCommand("ip", "link", "del", "inj0"))
		_, err := n.injector.Run(t.Context(), &packets{list: pings(t, 10, pingServer)}, inject.RunOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), "inject: the injection cable has gone: ") {
			t.Errorf("error %v", err)
		}
		got := n.settled(t)[ping] // checks the identity
		if got.Answered != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestEngineErrors(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	mustRun(t, gatewayCommand("ip", "link", "set", "lan0", "mtu", "9000"))
	options := inject.Options{Wire: "lan0", Labels: []inject.Label{{Name: "ping"}}, Maps: inject.Maps(n.verifier.Maps()), Near: "a0", Far: "a1"}
	tests := []struct {
		name   string
		engine inject.Engine
		want   string
	}{
		{"unknown", "dpdk", `inject: engine "dpdk": must be auto, sendmmsg or xdp`},
		{"long packets", inject.EngineXDP, `inject: engine "xdp": MTU 9000: live frames hold packets of at most 2030 bytes: use "sendmmsg"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options.Engine = tt.engine
			_, err := inject.Open(options)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	options.Engine = inject.EngineAuto
	in, err := inject.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, in)
	if got, want := in.Engine().String(), "sendmmsg (no xdp: MTU 9000: live frames hold packets of at most 2030 bytes)"; got != want {
		t.Errorf("engine %q, want %q", got, want)
	}
}
