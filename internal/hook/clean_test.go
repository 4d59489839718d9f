package hook

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

// TestClean takes away cables and filters of ours, and leaves others' alone.
func TestClean(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "near0", Far: "far0"})
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inj0"}, PeerName: "inj1"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"inj0", "inj1"} {
		link, err := netlink.LinkByName(end)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetAlias(link, CableAlias); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []struct {
		name string
		dir  Direction
	}{{"near0", Ingress}, {"near0", Egress}, {"far0", Ingress}} {
		if _, err := attach(oldKernel, mustVerdict(t, -1), mustIndex(t, at.name), at.dir); err != nil {
			t.Fatal(err)
		}
	}
	theirs := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: mustIndex(t, "far0"), Parent: clsactParent(Egress), Handle: 1, Protocol: unix.ETH_P_ALL, Priority: 5,
		},
		Fd: mustVerdict(t, -1).FD(), Name: "theirs", DirectAction: true,
	}
	if err := netlink.FilterAdd(theirs); err != nil {
		t.Fatal(err)
	}
	taken, err := Clean()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"injection cable inj0", "ingress filter pacgan_verdict on far0", "ingress filter pacgan_verdict on near0",
		"egress filter pacgan_verdict on near0",
	}
	sort := func(s []string) map[string]bool {
		set := map[string]bool{}
		for _, line := range s {
			set[strings.ReplaceAll(line, "inj1", "inj0")] = true // either end stands for both
		}
		return set
	}
	if diff := cmp.Diff(sort(want), sort(taken)); diff != "" || len(taken) != len(want) {
		t.Errorf("taken away: %q\n(-want +got):\n%s", taken, diff)
	}
	if out := mustTC(t, "qdisc", "show"); strings.Contains(out, "clsact ffff: dev near0") {
		t.Errorf("an empty qdisc is left:\n%s", out)
	}
	if out := mustTC(t, "filter", "show", "dev", "far0", "egress"); !strings.Contains(out, "theirs") {
		t.Errorf("somebody else's filter is gone:\n%s", out)
	}
	if taken, err = Clean(); err != nil || len(taken) != 0 {
		t.Errorf("a second time: %q, %v", taken, err)
	}
}

func mustTC(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := exec.Command("tc", args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("tc %v: %v\n%s", args, err, out)
	}
	return string(out)
}
