package appliance

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/packet"
)

// mustControls are controls with ten ripe packets of each label that has some.
func mustControls(t *testing.T, s *slots, names []string, captured ...string) *controls {
	t.Helper()
	r := newRecent()
	for _, label := range captured {
		for id := range 10 {
			r.offer(packet.Packet{Label: label, Time: time.Now().Add(-time.Hour), Frame: mustFrame(t, uint16(id))})
		}
	}
	return newControls(r, names, s)
}

// mustCandidate is a source of count packets of each label, as a canary's.
func mustCandidate(t *testing.T, s *slots, o origin, count int) *source {
	t.Helper()
	names := []string{"a", "b"}
	candidate, err := newModelSource(mustModel(t, names...), names, newShareOrder([]float64{1, 1}), count, 1)
	must(t, err)
	candidate.slots = s.slotsOf(o, names)
	return candidate
}

// takeFeed counts the packets by slot that a feed gives until it ends, n at most.
func takeFeed(t *testing.T, f *feed, n int) []int {
	t.Helper()
	counts := make([]int, 6)
	for range n {
		p, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if len(p.IP) == 0 {
			t.Fatal("an empty packet")
		}
		counts[p.Label]++
	}
	return counts
}

// TestFeed mixes what there is; a label's slots are model, control, canary.
func TestFeed(t *testing.T) {
	s := newSlots(allOrigins, []config.Label{{Name: "a"}, {Name: "b"}})
	names := []string{"a", "b"}
	tests := []struct {
		name  string
		main  bool
		of    []string // labels that something was captured of
		trial func() *trial
		take  int
		want  []int
	}{
		{"nothing", false, names, nil, 10, []int{0, 0, 0, 0, 0, 0}},
		{"one control in a hundred", true, names, nil, 1000, []int{495, 5, 0, 495, 5, 0}},
		{"nothing captured of b", true, names[:1], nil, 1000, []int{495, 10, 0, 495, 0, 0}},
		{"nothing captured", true, nil, nil, 1000, []int{500, 0, 0, 500, 0, 0}},
		{"first canary", false, names, func() *trial {
			return newTrial(mustCandidate(t, s, fromCanary, 200), mustControls(t, s, names, names...), 20)
		},
			1000, []int{0, 20, 200, 0, 20, 200}},
		{"first canary, nothing captured", false, names, func() *trial { return newTrial(mustCandidate(t, s, fromCanary, 200), mustControls(t, s, names), 20) },
			1000, []int{0, 0, 200, 0, 0, 200}},
		{"canary beside the main source", true, names, func() *trial {
			return newTrial(mustCandidate(t, s, fromCanary, 200), mustControls(t, s, names, names...), 20)
		},
			880, []int{220, 20, 200, 220, 20, 200}},
		{"no control while a trial's packets are on their way", true, names, func() *trial {
			done := newTrial(nil, mustControls(t, s, names), 0)
			done.end()
			return done
		}, 1000, []int{500, 0, 0, 500, 0, 0}},
		{"captured packets of one label", true, names, func() *trial { return newTrial(nil, mustControls(t, s, names[1:], names...), 50) },
			100, []int{25, 0, 0, 25, 50, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &feed{}
			f.control.Store(mustControls(t, s, names, tt.of...))
			if tt.main {
				f.main.Store(mustCandidate(t, s, fromModel, endless))
			}
			if tt.trial != nil {
				f.trial.Store(tt.trial())
			}
			if got := f.ready(); got != (tt.main || tt.trial != nil) {
				t.Errorf("ready: %v", got)
			}
			if diff := cmp.Diff(tt.want, takeFeed(t, f, tt.take)); diff != "" {
				t.Errorf("packets by slot (-want +got):\n%s", diff)
			}
			if !tt.main && f.ready() {
				t.Error("ready, with nothing left")
			}
		})
	}
}
