package inject

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab/labtest"
)

// TestUnheardNeighbour: an entry of the neighbour table of which no news have
// come yet is used at once, and a permanent one stays so.
func TestUnheardNeighbour(t *testing.T) {
	labtest.RequireRoot(t)
	labtest.NewCable(t, labtest.Cable{Near: "nb0", NearAddrs: []string{"10.78.1.1/24"}, Far: "nb1"})
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/nb0/disable_ipv6", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	wire, err := netlink.LinkByName("nb0")
	if err != nil {
		t.Fatal(err)
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0x78, 9}
	for _, tt := range []struct {
		name  string
		addr  string
		state int
	}{
		{"permanent", "10.78.1.9", netlink.NUD_PERMANENT},
		{"stale", "10.78.1.10", netlink.NUD_STALE},
		{"permanent, IPv6", "fd00:78::9", netlink.NUD_PERMANENT},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := newResolver(wire.Attrs().Index, nil, func() {}, func(int) {}, func() {})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.close)
			addr := netip.MustParseAddr(tt.addr)
			if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: r.index, State: tt.state, IP: addr.AsSlice(), HardwareAddr: mac}); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock() // no news from here
			got, ready, reason := r.neighbour(&hop{addr: addr}, time.Now())
			r.mu.Unlock()
			if !ready || net.HardwareAddr(got[:]).String() != mac.String() {
				t.Errorf("%v, ready %v, %q; want %v", net.HardwareAddr(got[:]), ready, reason, mac)
			}
			entry, err := r.table.find(addr)
			if err != nil || entry == nil {
				t.Fatalf("entry %v: %v", entry, err)
			}
			if diff := cmp.Diff(tt.state, entry.State); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if none, err := r.table.find(addr.Next().Next()); none != nil || err != nil {
				t.Errorf("an entry that nobody made: %v, %v", none, err)
			}
		})
	}
}
