package dataset

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"pacgan-appliance/internal/packet"
)

// packetOf is a packet of a source in 10.0.0.0/8.
func packetOf(label string, source uint32) packet.Packet {
	frame := make([]byte, packet.EthernetHeaderLen+28)
	binary.BigEndian.PutUint16(frame[12:], 0x0800)
	ip := frame[packet.EthernetHeaderLen:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, 28, 64, 17
	binary.BigEndian.PutUint32(ip[12:], 10<<24|source)
	ip[25] = 8 // UDP's length
	return packet.Packet{Label: label, Time: time.Unix(1e9, 0), Frame: frame}
}

// TestFloodingClientCrowdsNobodyOut: one client sends a thousand times as much
// as four others, in a store that has room for a part of it: theirs is stored
// to the last packet, and its own is half of the label at most.
func TestFloodingClientCrowdsNobodyOut(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), Labels: []string{"dns"}, MaxBytes: MinMaxBytes, Fair: true})
	const flood, others = 500_000, 500
	for i := range flood {
		mustAppend(t, s, []packet.Packet{packetOf("dns", 1)})
		if i%(flood/others) == 0 {
			mustAppend(t, s, []packet.Packet{packetOf("dns", uint32(2+i/(flood/others)%4))})
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	bySource := map[netip.Addr]int{}
	for _, p := range mustRead(t, s, "dns", 0) {
		bySource[sourceOf(p)]++
	}
	flooder := netip.MustParseAddr("10.0.0.1")
	if got := bySource[flooder]; got != sourceFloor {
		t.Errorf("%d packets of the client that floods are stored, want %d", got, sourceFloor)
	}
	delete(bySource, flooder)
	for source, n := range bySource {
		if n != others/4 {
			t.Errorf("%s: %d packets are stored, want all %d", source, n, others/4)
		}
	}
	if len(bySource) != 4 {
		t.Errorf("%d other sources are stored, want 4", len(bySource))
	}
	if stats := s.Stats(); stats.Crowding != flood-sourceFloor || stats.Evicted != 0 {
		t.Errorf("stats %+v", stats)
	}
}

func TestAdmission(t *testing.T) {
	now := time.Unix(1e9, 0)
	send := func(a *admission, source uint32, n int) (admitted int) {
		for range n {
			if a.admit(packetOf("dns", source), now) {
				admitted++
			}
		}
		return admitted
	}
	var alone admission
	if got := send(&alone, 1, 10*sourceFloor); got != sourceFloor {
		t.Errorf("alone: %d of a window, want %d", got, sourceFloor)
	}
	now = now.Add(sourceWindow)
	if got := send(&alone, 1, 10*sourceFloor); got != sourceFloor/2 {
		t.Errorf("alone, the next window: %d, want %d", got, sourceFloor/2)
	}
	now = now.Add(-24 * time.Hour) // the clock was put back
	if got := send(&alone, 1, 10*sourceFloor); got != sourceFloor/2 {
		t.Errorf("alone, a day earlier: %d, want %d", got, sourceFloor/2)
	}
	var many admission
	for source := range uint32(20) { // an ordinary network: nobody is held back
		if got := send(&many, source, 1000); got != 1000 {
			t.Errorf("source %d: %d of 1000", source, got)
		}
	}
	if got := send(&many, 1, 100_000); got < 18_000 || got > 19_000 {
		t.Errorf("one of them floods: %d more, want as many as the others have", got)
	}
	var invented admission
	admitted := 0
	for source := range uint32(100_000) {
		admitted += send(&invented, source, 1)
	}
	if len(invented.stored) > mostSources+1 {
		t.Errorf("%d sources are remembered, want at most %d", len(invented.stored), mostSources+1)
	}
	if admitted > 2*mostSources+1 {
		t.Errorf("%d packets of invented sources, want at most %d", admitted, 2*mostSources+1)
	}
}
