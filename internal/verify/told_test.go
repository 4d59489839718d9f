package verify

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// TestToldAndUntold has more replies at once than the ring has room for: each
// is counted, and each is told or counted as untold.
func TestToldAndUntold(t *testing.T) {
	const room = 1 << 15
	const replies = 2 * room
	var told int
	v := mustOpen(t, Options{Timeout: time.Minute, Expectations: 4 * room, Tell: func(t []Told, _ time.Time) { told += len(t) }})
	expect := pending(ping)
	expect.State = replies
	mustExpect(t, v, echoKey(pingData), expect, 0)
	if _, err := v.match.Match.Run(&ebpf.RunOptions{Data: mustEcho(t, 77, 3, pingData), Repeat: replies}); err != nil {
		t.Fatal(err)
	}
	if err := v.tell(time.Now()); err != nil {
		t.Fatal(err)
	}
	untold, err := v.Untold()
	if err != nil {
		t.Fatal(err)
	}
	if got := mustEnds(t, v, ping); got.Answered != replies || uint64(told)+untold != replies || told < room-1 || untold == 0 {
		t.Errorf("%d told, %d untold of %d; ends %+v", told, untold, replies, got)
	}
	before := told
	expect.State = 1 // there is room again
	mustExpect(t, v, echoKey(pingData), expect, 0)
	mustMatch(t, v, mustEcho(t, 77, 3, pingData))
	if err := v.tell(time.Now()); err != nil || told != before+1 {
		t.Errorf("%d told (%v), want one more than %d", told, err, before)
	}
}

// TestNobodyListens: then nothing is told, and nothing counted as lost.
func TestNobodyListens(t *testing.T) {
	v := mustOpen(t, Options{Timeout: caseTimeout})
	mustExpect(t, v, echoKey(pingData), pending(ping), 0)
	mustMatch(t, v, mustEcho(t, 77, 3, pingData))
	mustExpect(t, v, echoKey([]byte("abc")), pending(ping), tooLate)
	if got := mustEnds(t, v, ping); got.Answered != 1 || got.Expired != 1 {
		t.Errorf("ends %+v, want one answered, one expired", got)
	}
	ring, err := ringbuf.NewReader(v.match.Tidings)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	if n := ring.AvailableBytes(); n != 0 {
		t.Errorf("%d bytes in the ring", n)
	}
	if n, err := v.Untold(); n != 0 || err != nil {
		t.Errorf("%d untold (%v), want none", n, err)
	}
}
