package idslog

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"pacgan-appliance/internal/jsonline"
	"pacgan-appliance/internal/packet"
)

// addresses parses addresses; the same ones come again and again.
type addresses map[string]netip.Addr

// mostAddresses bounds what is remembered.
const mostAddresses = 1 << 14

func (a addresses) parse(what string, value []byte) (netip.Addr, error) {
	if addr, ok := a[string(value)]; ok { // does not allocate
		return addr, nil
	}
	text := string(value)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf("%s %q: must be an IP address", what, value)
	}
	if len(a) >= mostAddresses {
		clear(a)
	}
	a[text] = addr
	return addr, nil
}

// of reads the object's next value, an address.
func (a addresses) of(o *jsonline.Object, what string, to *netip.Addr) error {
	value, err := o.Scalar()
	if err == nil {
		*to, err = a.parse(what, value)
	}
	return err
}

// parseTime reads RFC 3339 and EVE's form, whose zone has no colon.
func parseTime(what string, value []byte) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339} { // Parse takes decimals that the layout lacks
		if t, err := time.Parse(layout, string(value)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf(`%s %q: must be a time such as "2026-11-25T08:51:07.123456+0000"`, what, value)
}

// endpoints are what names a flow in a log. ICMP's type and code are kept
// apart: ports stand in their place where a log has nothing else.
type endpoints struct {
	protocol           uint8
	src, dst           netip.Addr
	srcPort, dstPort   uint16
	icmpType, icmpCode uint8
}

// flow is zero where there is no whole one.
func (e *endpoints) flow() packet.FlowKey {
	if !e.src.IsValid() || !e.dst.IsValid() || e.protocol == 0 {
		return packet.FlowKey{}
	}
	src, dst := e.srcPort, e.dstPort
	if e.protocol == packet.ProtoICMP || e.protocol == packet.ProtoICMPv6 {
		src, dst = packet.ICMPPorts(e.protocol, e.icmpType, e.icmpCode)
	}
	return packet.FlowKey{Protocol: e.protocol, Src: netip.AddrPortFrom(e.src, src), Dst: netip.AddrPortFrom(e.dst, dst)}
}

// protocolOf is the number of a protocol by any of the names that logs have for
// it; 0: not known, and so nothing that was injected. The addresses say which ICMP it is.
func (e *endpoints) protocolOf(name []byte) uint8 {
	switch {
	case bytes.EqualFold(name, []byte("tcp")):
		return packet.ProtoTCP
	case bytes.EqualFold(name, []byte("udp")):
		return packet.ProtoUDP
	case bytes.EqualFold(name, []byte("icmp")), bytes.EqualFold(name, []byte("ipv6-icmp")),
		bytes.EqualFold(name, []byte("icmp6")), bytes.EqualFold(name, []byte("icmpv6")):
		if e.src.Is6() && !e.src.Is4In6() {
			return packet.ProtoICMPv6
		}
		return packet.ProtoICMP
	}
	return 0
}

// timeOf reads a time.
func timeOf(o *jsonline.Object, what string, to *time.Time) error {
	value, err := o.Scalar()
	if err == nil {
		*to, err = parseTime(what, value)
	}
	return err
}
