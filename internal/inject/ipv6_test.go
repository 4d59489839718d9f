package inject_test

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

// The servers' IPv6 addresses.
const (
	pingServer6 = "fd77:2::80"
	dnsServer6  = "fd77:2::53"
	webServer6  = "fd77:2::81"
	nobody6     = "fd77:2::99"
)

var serverAddrs6 = []string{dnsServer6 + "/64", pingServer6 + "/64", webServer6 + "/64"}

// withIPv6 gives an interface IPv6, which the tests' namespaces have off, and
// addresses that are in use at once.
func withIPv6(tb testing.TB, command func(string, ...string) *exec.Cmd, name string, addrs ...string) {
	tb.Helper()
	dir := "/proc/sys/net/ipv6/conf/" + name
	mustRun(tb, command("sh", "-c", "echo 0 >"+dir+"/accept_dad && echo 0 >"+dir+"/disable_ipv6"))
	for _, a := range addrs {
		mustRun(tb, command("ip", "-6", "addr", "add", a, "dev", name, "nodad"))
	}
}

// routedIPv6 is IPv6 between clients and servers, as IPv4 is.
func routedIPv6(tb testing.TB, servers, clients *labtest.Host, wan, far string) {
	tb.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0); err != nil {
		tb.Fatal(err)
	}
	withIPv6(tb, exec.Command, "lan0", "fd77:1::1/64")
	withIPv6(tb, exec.Command, wan, "fd77:2::1/64")
	withIPv6(tb, clients.Command, "cli0", "fd77:1::11/64")
	withIPv6(tb, servers.Command, far, serverAddrs6...)
	mustRun(tb, clients.Command("ip", "-6", "route", "add", "default", "via", "fd77:1::1"))
	mustRun(tb, servers.Command("ip", "-6", "route", "add", "default", "via", "fd77:2::1"))
}

// mustPacket6 is mustPacket for IPv6.
func mustPacket6(tb testing.TB, dst string, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	ip := &layers.IPv6{
		Version: 6, HopLimit: 63, FlowLabel: 0x12345, NextHeader: protocol,
		SrcIP: netip.MustParseAddr("fd77:1::11").AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
	buf := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{ip}, above...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		tb.Fatal(err)
	}
	packet.ZeroChecksums(buf.Bytes())
	return buf.Bytes()
}

func mustPing6(tb testing.TB, dst string, id, seq uint16, data string) labelled {
	tb.Helper()
	return labelled{ping, mustPacket6(tb, dst, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)},
		&layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}, gopacket.Payload(data))}
}

func mustQuery6(tb testing.TB, id, port uint16, name string) labelled {
	tb.Helper()
	return labelled{dns, mustPacket6(tb, dnsServer6, layers.IPProtocolUDP,
		&layers.UDP{SrcPort: layers.UDPPort(port), DstPort: 53}, mustQuestion(id, name))}
}

func mustRequest6(tb testing.TB, port uint16, request string) labelled {
	tb.Helper()
	return labelled{web, mustPacket6(tb, webServer6, layers.IPProtocolTCP,
		&layers.TCP{SrcPort: layers.TCPPort(port), DstPort: 80, Seq: 0x11223344, Ack: 0x55667788, ACK: true, PSH: true,
			Window: 502, Options: timestampOptions(uint32(port) * 77)},
		gopacket.Payload(request))}
}

// TestIPv6Ends is TestEveryEnd for what IPv6 does in its own way.
func TestIPv6Ends(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 400 * time.Millisecond, allow: []netip.Prefix{netip.MustParsePrefix("fd77::/16"), netip.MustParsePrefix("ff00::/8")}})
	malformed := mustPing6(t, pingServer6, 1, 1, "abc")
	malformed.ip[5]++
	datagram := labelled{reply, mustPacket6(t, pingServer6, layers.IPProtocolUDP, &layers.UDP{SrcPort: 30000, DstPort: 9}, gopacket.Payload("x"))}
	closed := mustRequest6(t, 30001, "GET / HTTP/1.1\r\n\r\n")
	tests := []struct {
		name string
		p    labelled
		want account
	}{
		{"malformed", malformed, account{Malformed: 1}},
		{"outside the allow-list", mustPing6(t, "fd78::1", 1, 1, "abc"), account{Blocked: 1}},
		{"IPv4 is outside, too", mustPing(t, "10.77.1.11", pingServer, 1, 1, "abc"), account{Blocked: 1}},
		{"own address", mustPing6(t, "fd77:2::1", 1, 1, "abc"), account{Blocked: 1}},
		{"multicast", mustPing6(t, "ff02::1", 1, 1, "abc"), account{Blocked: 1}},
		{"nobody there", mustPing6(t, nobody6, 1, 1, "abc"), account{Failed: map[string]uint64{inject.ReasonARP: 1}}},
		{"no route", mustPing6(t, "fd77:9::1", 1, 1, "abc"), account{Failed: map[string]uint64{inject.ReasonNoRoute: 1}}},
		{"ping", mustPing6(t, pingServer6, 1, 1, "abc"), account{Answered: 1, OnWire: 1}},
		{"nobody on the port", datagram, account{Rejected: map[string]uint64{"icmp6 port-unreachable": 1}, OnWire: 1}},
		{"port closed", closed, account{Rejected: map[string]uint64{"rst": 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := n.accounts(t)[tt.p.label]
			got := n.inject(t, []labelled{tt.p}, inject.RunOptions{})[tt.p.label]
			tt.want.Generated, tt.want.Label = 1, got.Label
			if diff := cmp.Diff(tt.want, got.since(before), emptyIsNil); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
		})
	}
}

// TestContainedText: nginx's responses are read as far as their text, which
// may be half a megabyte away.
func TestContainedText(t *testing.T) {
	labels := defaultLabels()
	labels[web].Contains = siteText
	n := newNetwork(t, networkOptions{labels: labels,
		allow: []netip.Prefix{netip.MustParsePrefix(serverNet), netip.MustParsePrefix("fd77:2::/64")}})
	startSystemServers(t, n.servers, webServer, webServer6)
	var list []labelled
	for i := range 50 {
		for j, path := range []string{"/", "/other", "/long", "/missing"} {
			request := "GET " + path + " HTTP/1.1\r\nHost: www.lab.test\r\n\r\n"
			port := uint16(20000 + 4*i + j)
			list = append(list, mustRequest(t, port, request), mustRequest6(t, port, request))
		}
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 200})[web]
	want := account{Label: "http", Generated: 400, Answered: 200, OnWire: 400, Rejected: map[string]uint64{"text missing": 100, "http 404": 100}}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	n.checkNoConnectionIsLeft(t)
}
