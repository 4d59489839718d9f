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

// Errors of IPv4Of.
var (
	// ErrNotIPv4 says that the frame carries something other than IPv4.
	ErrNotIPv4 = errors.New("not an IPv4 packet")
	// ErrTruncated says that the frame ends before the packet it carries.
	ErrTruncated = errors.New("frame ends before its packet")
)

// FramingError says why bytes are not an IPv4 packet that can be put on the
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
	etherTypeVLAN = 0x8100
	etherTypeQinQ = 0x88a8
)

// IPv4Of returns the IPv4 packet inside an Ethernet frame: it skips up to two
// VLAN tags (IEEE 802.1Q) and trims the padding of short frames to the
// packet's total length (RFC 894). The result shares the frame's memory.
// Errors are ErrNotIPv4 and ErrTruncated.
func IPv4Of(frame []byte) ([]byte, error) {
	if len(frame) < EthernetHeaderLen {
		return nil, ErrTruncated
	}
	offset := EthernetHeaderLen
	etherType := binary.BigEndian.Uint16(frame[12:])
	for tags := 0; etherType == etherTypeVLAN || etherType == etherTypeQinQ; tags++ {
		if tags == 2 {
			return nil, ErrNotIPv4
		}
		if len(frame) < offset+4 {
			return nil, ErrTruncated
		}
		etherType = binary.BigEndian.Uint16(frame[offset+2:])
		offset += 4
	}
	if etherType != etherTypeIPv4 {
		return nil, ErrNotIPv4
	}
	ip := frame[offset:]
	if len(ip) < minIPv4HeaderLen {
		return nil, ErrTruncated
	}
	if ip[0]>>4 != 4 {
		return nil, ErrNotIPv4
	}
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if total < minIPv4HeaderLen || total > len(ip) {
		return nil, ErrTruncated
	}
	return ip[:total], nil
}
