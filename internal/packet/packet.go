// Package packet says what a labelled packet is and gives views of its
// headers, in place and without allocation. It repairs checksums and nothing
// else; it neither encodes packets (internal/encoding) nor stores them
// (internal/dataset).
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Packet is one captured packet with the label that its filter gave it.
type Packet struct {
	Label string    // name of the label
	Time  time.Time // when the kernel saw it
	Frame []byte    // whole frame from the Ethernet header on
}

// Errors of IPOf.
var (
	// ErrNotIP says that the frame carries neither IPv4 nor IPv6.
	ErrNotIP = errors.New("not an IP packet")
	// ErrTruncated says that the frame ends before the packet it carries.
	ErrTruncated = errors.New("frame ends before its packet")
)

// FramingError says why bytes are not an IP packet that can be put on the
// wire: the accounting's "malformed".
type FramingError struct {
	Reason string
}

// Error gives the reason on one line.
func (e *FramingError) Error() string { return "malformed packet: " + e.Reason }

func malformed(format string, args ...any) error {
	return &FramingError{Reason: fmt.Sprintf(format, args...)}
}

// EthernetHeaderLen is the length in bytes of an untagged Ethernet header.
const EthernetHeaderLen = 14

// EtherTypes that frames are told apart by.
const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	etherTypeVLAN = 0x8100
	etherTypeQinQ = 0x88a8
)

// IPOf returns the IPv4 or IPv6 packet inside an Ethernet frame: it skips up to two
// VLAN tags (IEEE 802.1Q) and trims the padding of short frames to the
// packet's total length (RFC 894). The result shares the frame's memory.
// Errors are ErrNotIP and ErrTruncated.
func IPOf(frame []byte) ([]byte, error) {
	if len(frame) < EthernetHeaderLen {
		return nil, ErrTruncated
	}
	offset := EthernetHeaderLen
	etherType := binary.BigEndian.Uint16(frame[12:])
	for tags := 0; etherType == etherTypeVLAN || etherType == etherTypeQinQ; tags++ {
		if tags == 2 {
			return nil, ErrNotIP
		}
		if len(frame) < offset+4 {
			return nil, ErrTruncated
		}
		etherType = binary.BigEndian.Uint16(frame[offset+2:])
		offset += 4
	}
	shortest, version := minIPv4HeaderLen, 4
	switch etherType {
	case etherTypeIPv4:
	case etherTypeIPv6:
		shortest, version = ipv6HeaderLen, 6
	default:
		return nil, ErrNotIP
	}
	ip := IP(frame[offset:])
	if len(ip) < shortest {
		return nil, ErrTruncated
	}
	if ip.Version() != version {
		return nil, ErrNotIP
	}
	total := ip.TotalLen()
	if total < shortest || total > len(ip) {
		return nil, ErrTruncated
	}
	return ip[:total], nil
}
