package inject

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mustGuardFrame gives the guard a frame and returns what it does with it.
func mustGuardFrame(tb testing.TB, in *Injector, frame []byte) uint32 {
	tb.Helper()
	action, _, err := in.guard.Guard.Test(frame)
	if err != nil {
		tb.Fatal(err)
	}
	return action
}

// TestGuardPassesNothingUnattended is the dead man's switch: frames leave
// until a time that somebody must move on, and not one nanosecond longer.
func TestGuardPassesNothingUnattended(t *testing.T) {
	opening := frameOf(mustEcho(t, "10.77.2.80", "x"), single, labelEcho)
	following := frameOf(mustEcho(t, "10.77.2.80", "x"), metaConversation, labelEcho)
	for _, tt := range []struct {
		name  string
		until int64
		want  uint32
		count guardPassage
		drops Drops
	}{
		{"attended", monotonic() + int64(time.Hour), redirect, guardPassage{Expected: 1, OnWire: 1}, Drops{}},
		{"long ago", 1, drop, guardPassage{Stale: 1}, Drops{Stale: 2}},
		{"a moment ago", monotonic(), drop, guardPassage{Stale: 1}, Drops{Stale: 2}},
		{"never, or paused", 0, drop, guardPassage{Paused: 1}, Drops{Paused: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := mustGuard(t, 1000, "10.77.2.0/24")
			if err := in.gate.openUntil(tt.until); err != nil {
				t.Fatal(err)
			}
			for name, frame := range map[string][]byte{"opening": opening, "following": following} {
				if action := mustGuardFrame(t, in, frame); action != tt.want {
					t.Errorf("%s frame: action %d, want %d", name, action, tt.want)
				}
			}
			if diff := cmp.Diff(tt.count, passageOf(t, in, labelEcho), ignoreLayout); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			drops, err := in.Drops()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.drops, drops); diff != "" {
				t.Errorf("drops (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPauseIsTheGuards: Pause acts in the kernel before it returns, nothing
// but Resume undoes it, and sending then opens the gate for a while only.
func TestPauseIsTheGuards(t *testing.T) {
	in := mustGuard(t, 1000, "10.77.2.0/24")
	frame := frameOf(mustEcho(t, "10.77.2.80", "x"), single, labelEcho)
	attend := func() {
		t.Helper()
		if err := in.gate.attend(); err != nil {
			t.Fatal(err)
		}
	}
	attend()
	if action := mustGuardFrame(t, in, frame); action != redirect {
		t.Fatalf("attended: action %d", action)
	}
	began := time.Now()
	if err := in.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Logf("Pause took %v", time.Since(began))
	attend() // as a sender does that has not heard of it yet
	if action := mustGuardFrame(t, in, frame); action != drop {
		t.Errorf("paused: action %d, want %d", action, drop)
	}
	in.Resume()
	if action := mustGuardFrame(t, in, frame); action != drop {
		t.Errorf("resumed and nothing sent: action %d, want %d", action, drop)
	}
	attend()
	if action := mustGuardFrame(t, in, frame); action != redirect {
		t.Errorf("sending again: action %d, want %d", action, redirect)
	}
	var until uint64
	if err := in.guard.OpenUntil.Get(&until); err != nil {
		t.Fatal(err)
	}
	if left := time.Duration(int64(until) - monotonic()); left > attendance {
		t.Errorf("the gate stays open for %v, want at most %v", left, attendance)
	}
}

// TestGuardBoundsTheRate has frames come as fast as all processors can: what
// passes is what the rate allows, and the rest is counted.
func TestGuardBoundsTheRate(t *testing.T) {
	const rate, each, workers = 500.0, 2500, 4
	in := mustGuard(t, 1<<16, "10.77.2.0/24")
	if err := in.SetMaxRate(rate); err != nil {
		t.Fatal(err)
	}
	opening, _ := paceOf(rate)
	depth := opening.AheadNs/opening.GapNs + 1
	began := time.Now()
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			frame := frameOf(mustEcho(t, "10.77.2.80", "01234567"), single, labelEcho)
			for i := range each {
				binary.BigEndian.PutUint32(frame[len(frame)-4:], uint32(worker*each+i))
				if _, _, err := in.guard.Guard.Test(frame); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	most := depth + uint64(math.Ceil(rate*time.Since(began).Seconds()))
	got := passageOf(t, in, labelEcho)
	if got.Expected < depth || got.Expected > most {
		t.Errorf("%d passed, want %d to %d", got.Expected, depth, most)
	}
	if got.Expected+got.Fast != workers*each || got.Fast == 0 {
		t.Errorf("%d passed and %d were too fast, of %d", got.Expected, got.Fast, workers*each)
	}
	drops, err := in.Drops()
	if err != nil {
		t.Fatal(err)
	}
	if drops.Fast != got.Fast {
		t.Errorf("%d frames dropped as too fast, %d counted", drops.Fast, got.Fast)
	}
}

// TestGuardBoundsFurtherFrames: a conversation's own segments are more than
// its packets, but bounded, and do not take from them.
func TestGuardBoundsFurtherFrames(t *testing.T) {
	const rate, sent = 10.0, 40_000
	in := mustGuard(t, 1000, "10.77.2.0/24")
	if err := in.SetMaxRate(rate); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	frame := frameOf(mustEcho(t, "10.77.2.80", "x"), metaConversation, labelEcho)
	copy(frame[6:12], wireMAC) // the same before and after: one frame for all turns
	frame[6], frame[7] = metaLocal|metaConversation, labelEcho
	passed := 0
	for range sent {
		if mustGuardFrame(t, in, frame) == redirect {
			passed++
		}
	}
	_, following := paceOf(rate)
	depth := int(following.AheadNs/following.GapNs) + 1
	most := depth + int(time.Since(began)/followGap) + 1
	if passed < depth || passed > most || passed == sent {
		t.Errorf("%d of %d passed, want %d to %d", passed, sent, depth, most)
	}
	if action := mustGuardFrame(t, in, frameOf(mustEcho(t, "10.77.2.80", "x"), single, labelEcho)); action != redirect {
		t.Errorf("a packet after them: action %d, want %d", action, redirect)
	}
}

// TestDestinations: what is reserved within the allow-list, on a machine with
// a network under test and another one.
func TestDestinations(t *testing.T) {
	prefixes := func(texts ...string) []netip.Prefix {
		var out []netip.Prefix
		for _, text := range texts {
			out = append(out, netip.MustParsePrefix(text))
		}
		return out
	}
	around := surroundings{
		own:    append(Reserved(), prefixes("10.77.2.1/32", "10.77.2.255/32", "192.168.7.1/32", "fd77:2::1/128")...),
		tested: prefixes("10.77.2.0/24", "fd77:2::/64"),
		others: prefixes("192.168.7.0/24", "10.0.0.0/8"),
	}
	for _, tt := range []struct {
		name         string
		allow, named []netip.Prefix
		yes, no      []string
	}{
		{"servers", prefixes("10.77.2.0/24"), nil, []string{"10.77.2.80", "10.77.2.254"},
			[]string{"10.77.2.1", "10.77.2.255", "10.77.3.80", "192.168.7.9", "fd77:2::80"}},
		{"broadcast named", prefixes("10.77.2.0/24"), prefixes("10.77.2.255/32"), []string{"10.77.2.80", "10.77.2.255"}, []string{"10.77.2.1"}},
		{"management within", prefixes("192.168.0.0/16"), nil, []string{"192.168.8.1"}, []string{"192.168.7.9", "192.168.7.1"}},
		{"management itself", prefixes("192.168.7.9/32"), nil, nil, []string{"192.168.7.9"}},
		{"management named", prefixes("192.168.7.0/24"), prefixes("192.168.7.8/29"), []string{"192.168.7.9"}, []string{"192.168.7.1", "192.168.7.20"}},
		{"around what is under test", prefixes("10.0.0.0/8"), nil, []string{"10.77.2.80"}, []string{"10.77.2.1", "10.1.2.3", "10.77.2.255"}},
		{"multicast not named", prefixes("224.0.0.0/24", "10.77.2.0/24"), nil, []string{"10.77.2.80"}, []string{"224.0.0.5"}},
		{"multicast named", prefixes("224.0.0.0/24"), prefixes("224.0.0.5/32"), []string{"224.0.0.5"}, []string{"224.0.0.6"}},
		{"IPv6", prefixes("fd77:2::/64", "ff02::/16"), prefixes("ff02::fb/128"), []string{"fd77:2::80", "ff02::fb"}, []string{"fd77:2::1", "ff02::1"}},
		{"named, not allowed", prefixes("10.77.2.0/24"), prefixes("10.1.0.0/16"), nil, []string{"10.1.0.1"}},
		{"nothing", nil, nil, nil, []string{"10.77.2.80"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := mustGuard(t, 1000)
			rules := around.destinations(tt.allow, tt.named)
			if err := in.setDestinationsLocked(&allowList{rules: rules}); err != nil {
				t.Fatal(err)
			}
			for want, list := range map[bool][]string{true: tt.yes, false: tt.no} {
				for _, text := range list {
					addr := netip.MustParseAddr(text)
					if got := in.allowed(addr); got != want {
						t.Errorf("%s: allowed %v, want %v", text, got, want)
					}
					if addr.Is4() {
						action := mustGuardFrame(t, in, frameOf(mustEcho(t, text, "x"), single, labelEcho))
						if got := action == redirect; got != want {
							t.Errorf("%s: the guard's action %d, want it to leave %v", text, action, want)
						}
					}
				}
			}
		})
	}
}
