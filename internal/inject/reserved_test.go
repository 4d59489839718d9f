package inject_test

import (
	"bytes"
	"net/netip"
	"os/exec"
	"testing"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
)

// TestReservedDestinationsNeverLeave sends to what an allow-list holds that is
// none of the test servers', and watches both sides.
func TestReservedDestinationsNeverLeave(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		labtest.NewCable(t, labtest.Cable{Near: "mgmt0", Far: "mgmt1", NearAddrs: []string{"10.77.9.1/24"}})
		n := newNetwork(t, networkOptions{
			engine: engine, allow: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}, named: []netip.Prefix{netip.MustParsePrefix("10.77.2.0/32")},
		})
		wire, management := newWitness(t, "wan0"), newWitness(t, "mgmt0")
		send := func(to string) (reserved, blocked uint64) {
			t.Helper()
			if _, err := n.injector.Run(t.Context(), &packets{list: pings(t, 1, to)}, inject.RunOptions{}); err != nil {
				t.Fatal(err)
			}
			n.settled(t)
			counts, err := n.injector.Counts()
			if err != nil {
				t.Fatal(err)
			}
			return counts[ping].BlockedBy[inject.ReasonReserved], counts[ping].Blocked
		}
		for i, to := range []string{"10.77.2.1", "10.77.1.1", "10.77.2.255", "10.77.9.1", "10.77.9.7", "10.77.9.255"} {
			if reserved, blocked := send(to); reserved != uint64(i+1) || blocked != reserved {
				t.Fatalf("%s: %d refused as reserved and %d in all, want %d", to, reserved, blocked, i+1)
			}
		}
		// An address that the gateway gets while frames are sent is its own at once.
		before, _ := send(nobody)
		mustRun(t, exec.Command("ip", "addr", "add", nobody+"/24", "dev", "wan0"))
		eventually(t, "a new address of the gateway is refused", func() bool {
			after, _ := send(nobody)
			return after > before
		})
		for name, w := range map[string]*witness{"wan0": wire, "mgmt0": management} {
			if seen := w.frames(t, true); len(seen) != 0 {
				t.Errorf("%d frames on %s; the first: %x", len(seen), name, seen[0])
			}
		}
	})
}

// TestNamedGroupsLeave: broadcast and multicast leave where they are named,
// for the group's Ethernet address.
func TestNamedGroupsLeave(t *testing.T) {
	groups := map[string][]byte{
		"10.77.2.255": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"224.0.1.129": {0x01, 0x00, 0x5e, 0x00, 0x01, 0x81},
	}
	n := newNetwork(t, networkOptions{
		allow: []netip.Prefix{netip.MustParsePrefix(serverNet), netip.MustParsePrefix("224.0.1.0/24")},
		named: []netip.Prefix{netip.MustParsePrefix("10.77.2.255/32"), netip.MustParsePrefix("224.0.1.129/32")},
	})
	mustRun(t, exec.Command("ip", "route", "add", "224.0.1.0/24", "dev", "wan0"))
	w := newWitness(t, "wan0")
	for to, ethernet := range groups {
		n.inject(t, []labelled{{none, mustPing(t, "10.77.1.11", to, 1, 1, "abc").ip}}, inject.RunOptions{})
		seen := w.frames(t, true)
		if len(seen) != 1 || !bytes.Equal(seen[0][:6], ethernet) {
			t.Errorf("%s: %d frames: %x, want one for %x", to, len(seen), seen, ethernet)
		}
	}
	n.inject(t, []labelled{{none, mustPing(t, "10.77.1.11", "224.0.1.1", 1, 1, "abc").ip}}, inject.RunOptions{})
	if seen := w.frames(t, true); len(seen) != 0 {
		t.Errorf("a group that is not named: %x", seen)
	}
}
