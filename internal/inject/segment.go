package inject

import (
	"encoding/binary"

	"pacgan-appliance/internal/packet"
)

// TCP options (RFC 9293, RFC 7323, RFC 2018) as an ordinary Linux host sends them.
const (
	optionEnd       = 0
	optionNop       = 1
	optionMSS       = 2
	optionScale     = 3
	optionSACK      = 4
	optionTimestamp = 8

	ipv6HeaderLen = 40

	timestampLen = 10
	mssLen       = 4
	defaultMSS   = 536
	minMSS       = 64 // whatever a peer says: fewer bytes a segment would flood it
	windowScale  = 7
)

// segmentFields are what a segment of ours has beyond what it takes from the
// generated one.
type segmentFields struct {
	flags    uint8
	seq, ack uint32
	idOffset int // of the IP identification, from the generated packet's
	options  []byte
}

// putSegment writes a segment without data into b: addresses, ports, TOS, TTL,
// DF (or flow label) and window are the generated packet's. It returns its
// length.
func putSegment(b []byte, generated packet.IP, f segmentFields) int {
	const tcpLen = 20
	length := tcpLen + len(f.options)
	put := putIPv4
	if generated.Version() == 6 {
		put = putIPv6
	}
	ipLen := put(b, generated, f, length)
	length += ipLen
	b = b[:length]
	template := packet.TCP(generated.Payload())

	s := b[ipLen:]
	copy(s[:4], template[:4])
	binary.BigEndian.PutUint32(s[4:], f.seq)
	binary.BigEndian.PutUint32(s[8:], f.ack)
	s[12] = uint8((tcpLen + len(f.options)) / 4 << 4)
	s[13] = f.flags
	binary.BigEndian.PutUint16(s[14:], template.Window())
	binary.BigEndian.PutUint16(s[18:], 0) // urgent pointer
	copy(s[tcpLen:], f.options)
	mustRepair(b)
	return length
}

// putIPv4 writes the header of a packet with payload bytes behind it.
func putIPv4(b []byte, generated packet.IP, f segmentFields, payload int) int {
	const ipLen = 20
	b[0] = 0x45
	b[1] = generated.TOS()
	binary.BigEndian.PutUint16(b[2:], uint16(ipLen+payload))
	binary.BigEndian.PutUint16(b[4:], uint16(int(generated.ID())+f.idOffset))
	binary.BigEndian.PutUint16(b[6:], 0)
	if generated.DontFragment() {
		b[6] = 0x40
	}
	b[8] = generated.TTL()
	b[9] = packet.ProtoTCP
	copy(b[12:20], generated[12:20])
	return ipLen
}

// putIPv6 is putIPv4 for IPv6, without the generated packet's extension headers.
func putIPv6(b []byte, generated packet.IP, _ segmentFields, payload int) int {
	const ipLen = 40
	copy(b[:ipLen], generated[:ipLen])
	binary.BigEndian.PutUint16(b[4:], uint16(payload))
	b[6] = packet.ProtoTCP
	return ipLen
}

// putGenerated copies the generated segment into b and puts it into its
// conversation: sequence and acknowledgement numbers, then checksums.
func putGenerated(b []byte, generated packet.IP, seq, ack uint32) int {
	return putPart(b, generated, 0, len(generated.L4Data()), seq, ack)
}

// putPart writes bytes from to to of the generated segment's data into b, as a
// segment of its own whose first byte has the sequence number seq.
func putPart(b []byte, generated packet.IP, from, to int, seq, ack uint32) int {
	data := generated.L4Data()
	header := len(generated) - len(data)
	length := header + to - from
	b = b[:length]
	copy(b, generated[:header])
	copy(b[header:], data[from:to])
	if length != len(generated) {
		putLength(b)
	}
	if generated.Version() == 4 && from > 0 { // of one that left before
		binary.BigEndian.PutUint16(b[4:], generated.ID()+1)
	}
	s := packet.IP(b).Payload()
	binary.BigEndian.PutUint32(s[4:], seq)
	binary.BigEndian.PutUint32(s[8:], ack)
	if to < len(data) { // more follows
		s[13] &^= packet.FlagPSH | packet.FlagFIN
	}
	mustRepair(b)
	return length
}

// putLength has the header say how long the packet is.
func putLength(b packet.IP) {
	if b.Version() == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6HeaderLen))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
}

// mustRepair repairs the checksums of a packet that is well framed: one that
// ParseIP has accepted or putSegment has built. If it were not, the packet
// would leave as it is and go unanswered.
func mustRepair(b []byte) {
	_ = packet.RepairChecksums(b)
}

// findOption looks for a TCP option of a kind and length, and returns its
// value; nil where there is none.
func findOption(options []byte, kind, length uint8) []byte {
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return nil
		case optionNop:
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return nil
		}
		if options[0] == kind && options[1] == length {
			return options[2:length]
		}
		options = options[options[1]:]
	}
	return nil
}

// timestamps reads the timestamp option (RFC 7323, 3.2) from TCP options.
func timestamps(options []byte) (value, echo uint32, ok bool) {
	v := findOption(options, optionTimestamp, timestampLen)
	if v == nil {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:]), true
}

// mssOf is the longest segment that a SYN's options allow (RFC 9293, 3.7.1).
func mssOf(options []byte) int {
	if v := findOption(options, optionMSS, mssLen); v != nil {
		return int(binary.BigEndian.Uint16(v))
	}
	return defaultMSS
}

// appendTimestamps adds the option, aligned as Linux does.
func appendTimestamps(b []byte, value, echo uint32) []byte {
	b = append(b, optionNop, optionNop, optionTimestamp, timestampLen)
	b = binary.BigEndian.AppendUint32(b, value)
	return binary.BigEndian.AppendUint32(b, echo)
}

// appendSYNOptions adds an ordinary host's options of a SYN.
func appendSYNOptions(b []byte, mss uint16, value uint32, stamped bool) []byte {
	b = append(b, optionMSS, 4)
	b = binary.BigEndian.AppendUint16(b, mss)
	if stamped {
		b = append(b, optionSACK, 2, optionTimestamp, timestampLen)
		b = binary.BigEndian.AppendUint32(b, value)
		b = binary.BigEndian.AppendUint32(b, 0)
	} else {
		b = append(b, optionNop, optionNop, optionSACK, 2)
	}
	return append(b, optionNop, optionScale, 3, windowScale)
}
