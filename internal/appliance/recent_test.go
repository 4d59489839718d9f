package appliance

import (
	"encoding/binary"
	"testing"
	"time"

	"pacgan-appliance/internal/packet"
)

// mustFrame is a frame with an IPv4 packet whose identification is id.
func mustFrame(t *testing.T, id uint16) []byte {
	t.Helper()
	frame := append(generatedHeader([]byte{0x45}), 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2) // a protocol for experiments (RFC 3692)
	binary.BigEndian.PutUint16(frame[18:], id)
	return frame
}

func idOf(ip []byte) int { return int(binary.BigEndian.Uint16(ip[4:])) }

// TestRecentRipens hands out no packet before its client's reply must have
// come, and from then on each of them.
func TestRecentRipens(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newRecent()
	r.now = func() time.Time { return now }
	for id := range 10 {
		r.offer(packet.Packet{Label: "dns", Time: now.Add(time.Duration(id) * time.Millisecond), Frame: mustFrame(t, uint16(id))})
	}
	r.offer(packet.Packet{Label: "arp", Time: now.Add(-time.Hour), Frame: append(make([]byte, 12), 8, 6)})
	now = now.Add(ripeAge)
	for _, label := range []string{"dns", "arp", "http"} {
		if _, err := r.draw(label, nil); err == nil || err.Error() != `label "`+label+`": no captured packets to replay` {
			t.Errorf("%s: error %v", label, err)
		}
	}
	now = now.Add(time.Second)
	seen := map[int]bool{}
	var buf []byte
	for range 10 {
		ip, err := r.draw("dns", buf[:0])
		must(t, err)
		seen[idOf(ip)] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different packets of 10", len(seen))
	}
	if d := (recentDrawer{r, []string{"dns"}}); !d.ready() {
		t.Error("the drawer is not ready")
	}
	if d := (recentDrawer{r, []string{"dns", "http"}}); d.ready() {
		t.Error("the drawer is ready without packets of a label")
	}
}

// TestRecentIsBounded: neither a flood nor a long time keeps more than some
// packets, and the newest replace the oldest.
func TestRecentIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newRecent()
	r.now = func() time.Time { return now }
	const each = time.Millisecond
	for id := range 60_000 {
		now = now.Add(each)
		r.offer(packet.Packet{Label: "dns", Time: now, Frame: mustFrame(t, uint16(id))})
		l := r.labels["dns"]
		if len(l.young) > recentPackets || len(l.ripe) > recentPackets {
			t.Fatalf("packet %d: %d young, %d ripe", id, len(l.young), len(l.ripe))
		}
	}
	fresh := r.since("dns", now.Add(-20*time.Second))
	if len(fresh) < recentPackets/2 || idOf(fresh[0]) >= idOf(fresh[len(fresh)-1]) {
		t.Errorf("%d packets of the last seconds", len(fresh))
	}
	for range 1000 {
		ip, err := r.draw("dns", nil)
		must(t, err)
		if age := time.Duration(60_000-idOf(ip)) * each; age < ripeAge || age > 20*time.Second {
			t.Fatalf("a packet of %v ago is handed out", age)
		}
	}
	if got := r.since("dns", now); len(got) != 0 {
		t.Errorf("%d packets of the future", len(got))
	}
}
