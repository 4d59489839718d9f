package truth

import "encoding/binary"

// The blocks and options of pcapng (draft-ietf-opsawg-pcapng) that are written
// here: gopacket's writer knows no comments.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6 // enhanced packet block

	byteOrderMagic = 0x1a2b3c4d

	optionEnd         = 0
	optionComment     = 1
	optionApplication = 4 // of a section
	optionName        = 2 // of an interface
	optionResolution  = 9 // of an interface

	linkTypeRaw = 101 // an IPv4 or IPv6 packet, as its first bits say
	nanoseconds = 9   // of optionResolution: 10^-9 s
	snapLen     = 262144
)

// pcapng writes one section: an interface for each label, and packets with
// their label and the UUID of their record as comments. It is in the byte
// order of x86, which every reader takes.
type pcapng struct {
	interfaces map[string]uint32
}

// append appends a packet, and before it what the section lacks for it.
func (w *pcapng) append(b []byte, r *Record, ip []byte) []byte {
	if w.interfaces == nil {
		w.interfaces = map[string]uint32{}
		b = appendSection(b)
	}
	index, ok := w.interfaces[r.Pacgan.Label]
	if !ok {
		index = uint32(len(w.interfaces))
		w.interfaces[r.Pacgan.Label] = index
		b = appendInterface(b, r.Pacgan.Label)
	}
	return appendPacket(b, index, r, ip)
}

func appendSection(b []byte) []byte {
	b, at := beginBlock(b, blockSection)
	b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
	b = binary.LittleEndian.AppendUint32(b, 1)       // version 1.0
	b = binary.LittleEndian.AppendUint64(b, 1<<64-1) // of unknown length
	b = appendOption(b, optionApplication, "pacgan-appliance", "")
	return endBlock(b, at)
}

func appendInterface(b []byte, label string) []byte {
	b, at := beginBlock(b, blockInterface)
	b = binary.LittleEndian.AppendUint32(b, linkTypeRaw)
	b = binary.LittleEndian.AppendUint32(b, snapLen)
	b = appendOption(b, optionName, label, "")
	b = appendOption(b, optionResolution, string(rune(nanoseconds)), "")
	return endBlock(b, at)
}

func appendPacket(b []byte, index uint32, r *Record, ip []byte) []byte {
	b, at := beginBlock(b, blockPacket)
	b = binary.LittleEndian.AppendUint32(b, index)
	ns := uint64(r.Timestamp.UnixNano())
	b = binary.LittleEndian.AppendUint32(b, uint32(ns>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(ns))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ip)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ip)))
	b = pad(append(b, ip...), len(ip))
	b = appendOption(b, optionComment, "label=", r.Pacgan.Label)
	var text [36]byte
	uuid, _ := r.UUID.AppendText(text[:0]) // has no error
	b = appendOption(b, optionComment, "uuid=", string(uuid))
	return endBlock(b, at)
}

// beginBlock leaves room for the block's length, which endBlock knows.
func beginBlock(b []byte, kind uint32) (_ []byte, at int) {
	at = len(b)
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint32(b, 0), at
}

// endBlock ends the options, and writes the length at both ends.
func endBlock(b []byte, at int) []byte {
	b = binary.LittleEndian.AppendUint32(b, optionEnd)
	length := uint32(len(b) - at + 4)
	binary.LittleEndian.PutUint32(b[at+4:], length)
	return binary.LittleEndian.AppendUint32(b, length)
}

// appendOption appends an option whose text is in two parts.
func appendOption(b []byte, code uint16, first, second string) []byte {
	n := len(first) + len(second)
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return pad(append(append(b, first...), second...), n)
}

// pad fills up to a multiple of four bytes.
func pad(b []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}
