package inject

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"pacgan-appliance/internal/packet"
)

// Flags of struct meta in bpf/guard.c.
const (
	metaLocal        = 0x02
	metaOpens        = 0x04
	metaGenerated    = 0x08
	metaConversation = 0x10
)

// meta is what the guard has to know of a frame; it travels in the frame's
// source address.
type meta struct {
	flags uint8
	label int
	id    uint32
}

// conversationID marks the ids of conversations (ID_CONVERSATION in bpf/expect.h).
const conversationID = 0x80000000

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
)

// putHeader writes the Ethernet header of a frame for the guard, in front of
// the IP packet that the frame holds already.
func putHeader(frame []byte, hop [6]byte, m meta) {
	copy(frame, hop[:])
	frame[6] = metaLocal | m.flags
	frame[7] = uint8(m.label)
	binary.BigEndian.PutUint32(frame[8:], m.id)
	etherType := uint16(etherTypeIPv4)
	if frame[headerLen]>>4 == 6 {
		etherType = etherTypeIPv6
	}
	binary.BigEndian.PutUint16(frame[12:], etherType)
}

// mappedBits are the bits before an IPv4 address in an IPv6 one.
const mappedBits = 96

// kernelAddr is an address as bpf/ip.h has it: 16 bytes, IPv4 mapped into IPv6.
func kernelAddr(a netip.Addr) guardAddr {
	b := a.As16()
	return *(*guardAddr)(unsafe.Pointer(&b))
}

const headerLen = packet.EthernetHeaderLen
