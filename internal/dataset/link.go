package dataset

import (
	"encoding/binary"

	"pacgan-appliance/internal/packet"
)

// Link types (tcpdump.org/linktypes.html) that carry IP in a way that we read.
const (
	linkEthernet  = 1
	linkRawOld    = 12 // DLT_RAW as most systems number it
	linkRawBSD    = 14
	linkRaw       = 101
	linkCooked    = 113 // LINUX_SLL, "any"
	linkIPv4      = 228
	linkIPv6      = 229
	linkCookedNew = 276 // LINUX_SLL2
)

func knownLink(link uint32) bool {
	switch link {
	case linkEthernet, linkRawOld, linkRawBSD, linkRaw, linkCooked, linkIPv4, linkIPv6, linkCookedNew:
		return true
	}
	return false
}

// toEthernet makes an Ethernet frame of a packet of any known link type. The
// error is packet.ErrTruncated or a linkTypeError.
func toEthernet(link uint32, data []byte) ([]byte, error) {
	switch link {
	case linkEthernet:
		if len(data) < packet.EthernetHeaderLen {
			return nil, packet.ErrTruncated
		}
		return data, nil
	case linkRaw, linkRawOld, linkRawBSD, linkIPv4, linkIPv6:
		if len(data) == 0 {
			return nil, packet.ErrTruncated
		}
		etherType := uint16(0x0800)
		if data[0]>>4 == 6 {
			etherType = 0x86dd
		}
		return withHeader(etherType, data), nil
	case linkCooked: // packet type, address type and length, address[8], protocol
		if len(data) < 16 {
			return nil, packet.ErrTruncated
		}
		return withHeader(binary.BigEndian.Uint16(data[14:]), data[16:]), nil
	case linkCookedNew: // protocol, 2 reserved, interface, address type, packet type, address
		if len(data) < 20 {
			return nil, packet.ErrTruncated
		}
		return withHeader(binary.BigEndian.Uint16(data), data[20:]), nil
	}
	return nil, linkTypeError(link)
}

// withHeader puts an Ethernet header with zero addresses before a payload.
func withHeader(etherType uint16, payload []byte) []byte {
	frame := make([]byte, packet.EthernetHeaderLen, packet.EthernetHeaderLen+len(payload))
	binary.BigEndian.PutUint16(frame[12:], etherType)
	return append(frame, payload...)
}
