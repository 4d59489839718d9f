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

	timestampLen = 10
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
// DF and window are the generated packet's. It returns its length.
func putSegment(b []byte, generated packet.IP, f segmentFields) int {
	const ipLen, tcpLen = 20, 20
	length := ipLen + tcpLen + len(f.options)
	b = b[:length]
	template := packet.TCP(generated.Payload())

	b[0] = 0x45
	b[1] = generated.TOS()
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	binary.BigEndian.PutUint16(b[4:], uint16(int(generated.ID())+f.idOffset))
	binary.BigEndian.PutUint16(b[6:], 0)
	if generated.DontFragment() {
		b[6] = 0x40
	}
	b[8] = generated.TTL()
	b[9] = packet.ProtoTCP
	copy(b[12:20], generated[12:20])

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

// putGenerated copies the generated segment into b and puts it into its
// conversation: sequence and acknowledgement numbers, then checksums.
func putGenerated(b []byte, generated packet.IP, seq, ack uint32) int {
	b = b[:copy(b, generated)]
	s := packet.IP(b).Payload()
	binary.BigEndian.PutUint32(s[4:], seq)
	binary.BigEndian.PutUint32(s[8:], ack)
	mustRepair(b)
	return len(b)
}

// mustRepair repairs the checksums of a packet that is well framed: one that
// ParseIP has accepted or putSegment has built. If it were not, the packet
// would leave as it is and go unanswered.
func mustRepair(b []byte) {
	_ = packet.RepairChecksums(b)
}

// timestamps reads the timestamp option (RFC 7323, 3.2) from TCP options.
func timestamps(options []byte) (value, echo uint32, ok bool) {
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return 0, 0, false
		case optionNop:
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return 0, 0, false
		}
		if options[0] == optionTimestamp && options[1] == timestampLen {
			return binary.BigEndian.Uint32(options[2:]), binary.BigEndian.Uint32(options[6:]), true
		}
		options = options[options[1]:]
	}
	return 0, 0, false
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
