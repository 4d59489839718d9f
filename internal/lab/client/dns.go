package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/lab/plan"
)

// lookup is one plain A query, without EDNS, from a new socket and so from a random port.
func lookup(names []plan.Name) Burst {
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, _ int) (made, ok int, err error) {
		name, id := pick(rng, names), uint16(rng.IntN(1<<16))
		resolver := netip.AddrPortFrom(pick(rng, plan.Resolvers()), 53)
		conn, err := net.DialUDP("udp4", udpAddr(from, 0), net.UDPAddrFromAddrPort(resolver))
		if err != nil {
			return 0, 0, fmt.Errorf("DNS query from %s: %w", from, err)
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		answered, err := query(conn, id, name.Host+".")
		if err != nil && !unanswered(err) {
			return 0, 0, fmt.Errorf("DNS query of %s from %s: %w", name.Host, from, err)
		}
		if answered {
			ok = 1
		}
		return 1, ok, nil
	}
}

func query(conn *net.UDPConn, id uint16, host string) (bool, error) {
	name, err := dnsmessage.NewName(host)
	if err != nil {
		return false, err
	}
	q := dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{q},
	}
	b, err := m.Pack()
	if err != nil {
		return false, err
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return false, err
	}
	if _, err := conn.Write(b); err != nil {
		return false, err
	}
	buf := make([]byte, 1500)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return false, err
		}
		var reply dnsmessage.Message
		if reply.Unpack(buf[:n]) != nil || reply.ID != id || !reply.Response || len(reply.Questions) != 1 || reply.Questions[0] != q {
			continue
		}
		return reply.RCode == dnsmessage.RCodeSuccess && len(reply.Answers) > 0, nil
	}
}

func udpAddr(a netip.Addr, port uint16) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port))
}
