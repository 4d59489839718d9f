package inject

import (
	"hash/maphash"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/packet"
)

func seed() maphash.Seed { return maphash.MakeSeed() }

// pairedSender writes to a socket pair instead of a cable.
func pairedSender(tb testing.TB) *sender {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		tb.Fatal(err)
	}
	s := newSender(newSendmmsgOn(fds[0], framesFor(1500)), newLedger(int(labels), nobody{}), func(uint32) {})
	tb.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	go func() {
		// A blocking reader, so that the socket never fills.
		unix.SetNonblock(fds[1], false)
		for buf := make([]byte, 2048); ; {
			if n, err := unix.Read(fds[1], buf); err != nil || n == 0 {
				return
			}
		}
	}()
	return s
}

func TestSendingAllocatesNothing(t *testing.T) {
	t.Run("sendmmsg", func(t *testing.T) { sendWithoutAllocating(t, pairedSender(t)) })
	t.Run("xdp", func(t *testing.T) {
		p := mustXDP(t)
		sendWithoutAllocating(t, newSender(p, newLedger(int(labels), nobody{}), func(uint32) {}))
	})
}

func sendWithoutAllocating(t *testing.T, s *sender) {
	t.Helper()
	p := Packet{Label: labelEcho, IP: generatedGet(t)}
	allocs := testing.AllocsPerRun(1000, func() {
		packet.RepairChecksums(p.IP)
		if err := s.add(hopMAC, single, p, len(p.IP)); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet, want 0", allocs)
	}
}

// TestConversingAllocatesNothing takes conversations from SYN to FIN. The
// flow is remembered from the first on.
func TestConversingAllocatesNothing(t *testing.T) {
	c := &conversations{
		ledger: newLedger(int(labels), nobody{}), secret: seed(), timeout: DefaultTimeout, mtu: new(atomic.Int64),
		slots: make([]*conversation, 4), byFlow: map[tuple]*conversation{}, wake: func() {},
	}
	c.mtu.Store(1500)
	c.free = append(c.free, 0, 1, 2, 3)
	c.sender = pairedSender(t)
	generated := generatedGet(t)
	converse := func() {
		if !c.start(hopMAC, Packet{Label: labelHTTP, IP: generated}, 0) {
			t.Fatal("no slot")
		}
		v := c.byFlow[tupleOf(generated)]
		c.receive(v, Segment{Flags: packet.FlagSYN | packet.FlagACK, Seq: 500, Ack: v.iss + 1}, 0)
		c.receive(v, Segment{Flags: packet.FlagPSH | packet.FlagACK, Seq: 501, Ack: v.sndNxt, Length: 90}, 0)
		c.receive(v, Segment{Flags: packet.FlagFIN | packet.FlagACK, Seq: 591, Ack: v.sndNxt}, 0)
		if v.state != stateFree {
			t.Fatalf("state %d", v.state)
		}
	}
	for range 8 {
		converse()
	}
	if allocs := testing.AllocsPerRun(1000, converse); allocs != 0 {
		t.Errorf("%v allocations a conversation, want 0", allocs)
	}
}
