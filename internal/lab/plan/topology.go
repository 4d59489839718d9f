// Package plan says what a lab consists of: its interfaces and addresses, and the names, sites and
// paths that its servers know and its clients ask for. Nothing here runs.
package plan

import "net/netip"

// Interfaces: the gateway's two, and the one that each other host has.
const (
	GatewayLAN = "lan0"
	GatewayWAN = "wan0"
	LANHost    = "cli0"
	ServerHost = "srv0"
)

// Side is one of the gateway's two networks.
type Side struct {
	Network netip.Prefix // the whole network
	Gateway netip.Addr   // the gateway's address in it
	Hosts   []netip.Addr // every address of the host behind it
}

// With is an address of the network with the network's prefix length, as an interface wants it.
func (s Side) With(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, s.Network.Bits()) }

// LAN is where the clients are, 10.77.1.11 to .20, and the testers, .200 to .203.
func LAN() Side { return side(1, append(Clients(), Testers()...)) }

// Servers is where the servers are.
func Servers() Side {
	hosts := append(Resolvers(), WebServers()...)
	return side(2, append(hosts, PingHosts()...))
}

// Clients are the addresses of the LAN's ordinary clients, ten of them.
func Clients() []netip.Addr { return addrs(1, 11, 20) }

// Resolvers are the addresses that answer DNS on UDP port 53.
func Resolvers() []netip.Addr { return addrs(2, 53, 54) }

// WebServers are the addresses that answer HTTP on TCP port 80.
func WebServers() []netip.Addr { return addrs(2, 80, 85) }

// PingHosts are addresses that answer only pings, as routers and printers do.
func PingHosts() []netip.Addr { return addrs(2, 10, 17) }

// PingTargets are the addresses that the clients ping: all of the servers'.
func PingTargets() []netip.Addr { return Servers().Hosts }

func side(third byte, hosts []netip.Addr) Side {
	gateway := netip.AddrFrom4([4]byte{10, 77, third, 1})
	return Side{Network: netip.PrefixFrom(gateway, 24).Masked(), Gateway: gateway, Hosts: hosts}
}

func addrs(third, first, last byte) []netip.Addr {
	out := make([]netip.Addr, 0, last-first+1)
	for b := first; b <= last; b++ {
		out = append(out, netip.AddrFrom4([4]byte{10, 77, third, b}))
	}
	return out
}
