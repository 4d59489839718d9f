package verify

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// This file knows bpf/request.h once more, in Go: which key and hash a request
// has. The programs are tested against it.

func mix(h, word uint64) uint64 {
	h = (h ^ word) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// lastWord is the last n (at most 8) bytes of data, as the kernel hashes them.
func lastWord(data []byte) uint64 {
	var word [8]byte
	copy(word[:], data[max(0, len(data)-8):])
	return binary.LittleEndian.Uint64(word[:])
}

func hashWords(data []byte) uint64 {
	h := uint64(len(data))
	for rest := data; len(rest) >= 8; rest = rest[8:] {
		h = mix(h, binary.LittleEndian.Uint64(rest))
	}
	return mix(h, lastWord(data))
}

func payloadHash(data []byte) uint32 { return uint32(hashWords(data)) }

// questionHash takes a name in wire form, and type and class.
func questionHash(name, typeClass []byte) uint32 {
	h := hashWords(bytes.ToLower(name))
	return uint32(mix(h, uint64(binary.LittleEndian.Uint32(typeClass)))) | 1
}

// rawAddr is an address as bpf/ip.h has it, IPv4 mapped into IPv6.
func rawAddr(s string) (raw matchAddr) {
	a := netip.MustParseAddr(s).As16()
	for i := range raw.W {
		raw.W[i] = binary.LittleEndian.Uint32(a[4*i:])
	}
	return raw
}

func swap16(v uint16) uint16 { return v>>8 | v<<8 }

const (
	client = "10.77.1.11"
	server = "10.77.2.53"

	kindOther = 0
	kindFlow  = 1
	kindEcho  = 2
	kindDNS   = 3
)

// replyKey is the key of a reply from the server to the client.
func replyKey(kind, protocol uint8, sport, dport, id uint16, hash uint32) matchExpectKey {
	return matchExpectKey{
		Src: rawAddr(server), Dst: rawAddr(client), Sport: swap16(sport), Dport: swap16(dport),
		Id: swap16(id), Kind: kind, Protocol: protocol, Hash: hash,
	}
}

// awaitedSlot is where bpf/expect.h notes that a reply to a key may come.
func awaitedSlot(k matchExpectKey) uint32 {
	pair := func(high, low uint32) uint64 { return uint64(high)<<32 | uint64(low) }
	h := mix(pair(k.Src.W[0], k.Src.W[1]), pair(k.Dst.W[0], k.Dst.W[1]))
	h = mix(h, pair(k.Src.W[2], k.Dst.W[2]))
	h = mix(h, pair(k.Src.W[3], k.Dst.W[3]))
	return uint32(mix(h, uint64(k.Sport)<<16|uint64(k.Dport))) % 262144
}

// hintSlot is where bpf/expect.h keeps the hint of a key.
func hintSlot(k matchExpectKey) uint32 {
	pair := func(a [4]uint32, i int) uint64 { return uint64(a[i])<<32 | uint64(a[i+1]) }
	h := mix(pair(k.Src.W, 0), pair(k.Src.W, 2))
	h = mix(h, pair(k.Dst.W, 0))
	h = mix(h, pair(k.Dst.W, 2))
	h = mix(h, uint64(k.Sport)<<16|uint64(k.Dport))
	return uint32(mix(h, uint64(k.Id)<<16|uint64(k.Kind)<<8|uint64(k.Protocol))) % 65536
}

// mustSerialize builds bytes with right lengths and checksums.
func mustSerialize(tb testing.TB, ls ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func ethernet(etherType layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: etherType}
}

// ipFrom is an IPv4 header from one address to another.
func ipFrom(src, dst string, protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: 7, Protocol: protocol,
		SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice(),
	}
}

// mustReply is a frame from the server to the client.
func mustReply(tb testing.TB, protocol layers.IPProtocol, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	return mustFrame(tb, ipFrom(server, client, protocol), above...)
}

func mustFrame(tb testing.TB, ip *layers.IPv4, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	for _, l := range above {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(ip); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return mustSerialize(tb, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv4), ip}, above...)...)
}
