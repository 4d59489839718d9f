package dataset

import (
	"encoding/binary"
	"hash/fnv"

	"pacgan-appliance/internal/packet"
)

// HeldOut says whether a packet is kept from training, for the quality
// report: one in four is. It depends on the packet's bytes and time alone, so
// that a packet stays on its side however the store grows and ages.
func HeldOut(p packet.Packet) bool {
	h := fnv.New64a()
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(p.Time.UnixNano()))
	h.Write(at[:])
	h.Write(p.Frame)
	return mix(h.Sum64())>>62 == 0
}

// Split parts packets into those for training and those held out, in order.
func Split(packets []packet.Packet) (train, heldOut []packet.Packet) {
	for _, p := range packets {
		if HeldOut(p) {
			heldOut = append(heldOut, p)
		} else {
			train = append(train, p)
		}
	}
	return train, heldOut
}

// mix spreads FNV's last bytes over the high bits: the finalizer of
// MurmurHash3 (Appleby, public domain).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
