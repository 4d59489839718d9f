package inject

import (
	"testing"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

// FuzzPacket takes what a model may give all the way to frames: nothing
// panics, and what is sent is well framed.
func FuzzPacket(f *testing.F) {
	get := generatedGet(f)
	f.Add([]byte(get))
	f.Add([]byte(get[:40]))                          // cut: lengths disagree
	f.Add([]byte{0x4f, 0, 0, 20})                    // header longer than the packet
	f.Add(append([]byte{0x45, 0, 0, 20, 0, 0, 0, 1}, // fragment of a TCP segment
		64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2))
	var in Injector
	in.labels.Store(&[]Label{{Name: "a", Expects: true}})
	f.Fuzz(func(t *testing.T, ip []byte) {
		defer bounded.Input(t, len(ip))()
		packet.Checksums(ip)
		if packet.RepairChecksums(ip) != nil {
			return
		}
		p, err := packet.ParseIP(ip)
		if err != nil {
			t.Fatalf("repaired but not parsed: %v", err)
		}
		if !in.converses(Packet{IP: p}) || len(ip) > 1500 {
			return
		}
		tupleOf(p)
		value, _, ok := timestamps(packet.TCP(p.Payload()).Options())
		b := make([]byte, 1500)
		for _, n := range []int{
			putGenerated(b, p, 1, 2),
			putSegment(b, p, segmentFields{flags: packet.FlagSYN, options: appendSYNOptions(nil, 1460, value, ok)}),
		} {
			if n > len(b) {
				t.Fatalf("%d bytes", n)
			}
		}
		if _, err := packet.ParseIP(b[:putSegment(b, p, segmentFields{flags: packet.FlagACK})]); err != nil {
			t.Error(err)
		}
	})
}
