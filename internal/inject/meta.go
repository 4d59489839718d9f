package inject

import (
	"encoding/binary"
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

const etherTypeIPv4 = 0x0800

// putHeader writes the Ethernet header of a frame for the guard.
func putHeader(frame []byte, hop [6]byte, m meta) {
	copy(frame, hop[:])
	frame[6] = metaLocal | m.flags
	frame[7] = uint8(m.label)
	binary.BigEndian.PutUint32(frame[8:], m.id)
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)
}

// nativeOrder is a big-endian field as the kernel's structs show it to Go.
func nativeOrder(addr [4]byte) uint32 {
	return *(*uint32)(unsafe.Pointer(&addr))
}

const headerLen = packet.EthernetHeaderLen
