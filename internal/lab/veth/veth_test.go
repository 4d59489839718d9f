package veth_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/lab/veth"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func mustPair(tb testing.TB, near, far string) {
	tb.Helper()
	labtest.RequireRoot(tb)
	if err := veth.Pair(near, far, nil); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := veth.Remove(near); err != nil {
			tb.Error(err)
		}
	})
}

func TestUpConfiguresAnEnd(t *testing.T) {
	mustPair(t, "a0", "a1")
	if err := veth.Up("a0", netip.MustParsePrefix("10.77.9.1/24"), netip.MustParsePrefix("10.77.9.2/24")); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("a0")
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range addrs {
		got = append(got, a.IPNet.String())
	}
	if diff := cmp.Diff([]string{"10.77.9.1/24", "10.77.9.2/24"}, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestReadyWaitsForTheFarEnd(t *testing.T) {
	mustPair(t, "b0", "b1")
	if err := veth.Up("b0"); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := veth.Ready(cancelled, "b0"); !errors.Is(err, context.Canceled) {
		t.Errorf("far end down: %v, want %v", err, context.Canceled)
	}
	if err := veth.Up("b1"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b0", "b1"} {
		if err := veth.Ready(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestOffloadsOff(t *testing.T) {
	mustPair(t, "c0", "c1")
	tool, err := ethtool.NewEthtool()
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	watched := []string{"tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-udp-segmentation", "tx-generic-segmentation", "rx-gro"}
	for range 2 { // again when they are off already
		if err := veth.OffloadsOff("c0"); err != nil {
			t.Fatal(err)
		}
		features, err := tool.Features("c0")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range watched {
			if on, ok := features[name]; on || !ok {
				t.Errorf("%s: on %t, known %t", name, on, ok)
			}
		}
	}
}

func TestRemoveAgain(t *testing.T) {
	mustPair(t, "d0", "d1")
	for range 2 {
		if err := veth.Remove("d0"); err != nil {
			t.Error(err)
		}
	}
}

func TestErrorsNameTheInterface(t *testing.T) {
	labtest.RequireRoot(t)
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"up", "offloads of no0: no such device", veth.Up("no0")},
		{"ready", "veth no0: Link not found", veth.Ready(t.Context(), "no0")},
		{"a name that is too long", "veth a-name-of-17-bytes-no1: numerical result out of range", veth.Pair("a-name-of-17-bytes", "no1", nil)},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: error %v, want %q", c.name, c.err, c.want)
		}
	}
}

func TestSysctls(t *testing.T) {
	labtest.RequireRoot(t)
	if err := veth.Sysctls(map[string]string{"ipv4/ip_forward": "1"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward"); err != nil || string(b) != "1\n" {
		t.Errorf("ip_forward is %q, %v", b, err)
	}
	err := veth.Sysctls(map[string]string{"ipv4/no_such_key": "1"})
	want := "sysctl net/ipv4/no_such_key = 1: open /proc/sys/net/ipv4/no_such_key: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}
