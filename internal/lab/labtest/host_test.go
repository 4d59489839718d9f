package labtest_test

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func servers() labtest.Cable {
	return labtest.Cable{
		Near: "wan0", NearAddrs: []string{"10.77.2.1/24"},
		Far: "srv0", FarAddrs: []string{"10.77.2.80/24", "10.77.2.81/24"},
		Via: "10.77.2.1",
	}
}

func TestMainRunsInAnEmptyGateway(t *testing.T) {
	labtest.RequireRoot(t)
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		if l.Attrs().Flags&net.FlagUp != 0 {
			names = append(names, l.Attrs().Name)
		}
	}
	if diff := cmp.Diff([]string{"lo"}, names); diff != "" {
		t.Errorf("interfaces up (-want +got):\n%s", diff)
	}
	init, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		t.Fatal(err)
	}
	if own, _ := os.ReadFile("/proc/self/comm"); string(init) != string(own) && string(init) != "exe\n" {
		t.Errorf("pid 1 is %q, want this program", init)
	}
}

func TestHostCommandAndCable(t *testing.T) {
	h := labtest.NewHost(t, servers())
	out, err := h.Command("ping", "-n", "-c", "1", "-W", "2", "-I", "10.77.2.81", "10.77.2.1").CombinedOutput()
	if err != nil {
		t.Fatalf("ping from the host: %v\n%s", err, out)
	}
	out, err = h.Command("ethtool", "-k", "srv0").CombinedOutput()
	if err != nil {
		t.Fatalf("ethtool: %v\n%s", err, out)
	}
	for _, feature := range []string{"tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload"} {
		if !strings.Contains(string(out), feature+": off") {
			t.Errorf("%s is not off:\n%s", feature, out)
		}
	}
	if out, err := h.Command("ip", "-o", "link").Output(); err != nil || strings.Contains(string(out), "wan0") {
		t.Errorf("the host sees the near end: %v\n%s", err, out)
	}
}

func TestHostDoKeepsSocketsInTheHost(t *testing.T) {
	h := labtest.NewHost(t, servers())
	var server net.PacketConn
	if err := h.Do(func() (err error) {
		server, err = net.ListenPacket("udp4", "10.77.2.80:53")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.77.2.80:53")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("query")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(buf[:n])+" "+from.String(), "query "+client.LocalAddr().String(); got != want {
		t.Errorf("server read %q, want %q", got, want)
	}
}

func TestHostIsGoneAfterItsTest(t *testing.T) {
	labtest.RequireRoot(t)
	t.Run("make", func(t *testing.T) {
		h := labtest.NewHost(t, servers())
		if err := h.Command("sleep", "600").Start(); err != nil {
			t.Fatal(err)
		}
		if mac := h.MAC(t); len(mac) != 6 {
			t.Errorf("MAC %v", mac)
		}
	})
	if _, err := netlink.LinkByName("wan0"); err == nil {
		t.Error("wan0 is still there")
	}
}

func TestCable(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "inj0", Far: "inj1"})
	for _, name := range []string{"inj0", "inj1"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if link.Attrs().Flags&net.FlagUp == 0 {
			t.Errorf("%s is down", name)
		}
	}
}
