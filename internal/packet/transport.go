package packet

import "encoding/binary"

// ICMP is a view of an ICMP message (RFC 792), its 8-byte header first.
type ICMP []byte

// Type is the message's type: 8 for an echo request, 0 for its reply.
func (m ICMP) Type() uint8 { return m[0] }

// Code refines the type.
func (m ICMP) Code() uint8 { return m[1] }

// ID is an echo's identifier.
func (m ICMP) ID() uint16 { return binary.BigEndian.Uint16(m[4:]) }

// Seq is an echo's sequence number.
func (m ICMP) Seq() uint16 { return binary.BigEndian.Uint16(m[6:]) }

// UDP is a view of a UDP datagram (RFC 768), its 8-byte header first.
type UDP []byte

// SrcPort is the source port.
func (d UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(d) }

// DstPort is the destination port.
func (d UDP) DstPort() uint16 { return binary.BigEndian.Uint16(d[2:]) }

// Len is the datagram's length in bytes, header included.
func (d UDP) Len() int { return int(binary.BigEndian.Uint16(d[4:])) }

// TCP flags (RFC 9293, section 3.1).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
)

// TCP is a view of a TCP segment (RFC 9293), its header first.
type TCP []byte

// SrcPort is the source port.
func (s TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(s) }

// DstPort is the destination port.
func (s TCP) DstPort() uint16 { return binary.BigEndian.Uint16(s[2:]) }

// Seq is the sequence number of the segment's first byte.
func (s TCP) Seq() uint32 { return binary.BigEndian.Uint32(s[4:]) }

// Ack is the acknowledgement number.
func (s TCP) Ack() uint32 { return binary.BigEndian.Uint32(s[8:]) }

// HeaderLen is the header's length in bytes, options included.
func (s TCP) HeaderLen() int { return int(s[12]>>4) * 4 }

// Flags are the control bits.
func (s TCP) Flags() uint8 { return s[13] }

// Window is the receive window as it stands in the header, unscaled.
func (s TCP) Window() uint16 { return binary.BigEndian.Uint16(s[14:]) }

// Options are the option bytes after the fixed header.
func (s TCP) Options() []byte { return s[minTCPHeaderLen:s.HeaderLen()] }
