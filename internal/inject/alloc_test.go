package inject

import (
	"hash/maphash"
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
	s := newSenderOn(fds[0], 1500, newLedger(int(labels)), func(uint32) {})
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
	s := pairedSender(t)
	ip := []byte(generatedGet(t))
	allocs := testing.AllocsPerRun(1000, func() {
		packet.RepairChecksums(ip)
		if err := s.add(hopMAC, meta{flags: single, label: labelEcho, id: 1}, ip); err != nil {
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
		ledger: newLedger(int(labels)), secret: seed(), timeout: DefaultTimeout, mss: 1460,
		slots: make([]*conversation, 4), byFlow: map[tuple]*conversation{}, freed: make(chan struct{}, 1),
	}
	c.free = append(c.free, 0, 1, 2, 3)
	c.sender = pairedSender(t)
	generated := generatedGet(t)
	converse := func() {
		if !c.start(labelHTTP, hopMAC, generated, 0) {
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

func TestPacer(t *testing.T) {
	const second = 1_000_000_000
	tests := []struct {
		name string
		rate float64
		now  []int64 // when due is asked, and all that is due is taken
		want []int
	}{
		{"one a second", 1, []int64{0, second / 2, second - 1, second, 3 * second / 2, 2 * second}, []int{1, 0, 0, 1, 0, 1}},
		{"a fraction", 2.5, []int64{0, 4e8 - 1, 4e8, 8e8, 12e8}, []int{1, 0, 1, 1, 1}},
		{"late within the bound", 1000, []int64{0, 50e6, 51e6}, []int{1, 50, 1}},
		{"late beyond the bound", 500, []int64{0, 500e6, 502e6}, []int{1, 51, 1}},
		{"more than a batch", 10_000, []int64{0, 15e6, 15e6, 15e6}, []int{1, 64, 64, 22}},
		{"unbounded", 0, []int64{0, 0}, []int{64, 64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPacer(tt.rate, 0)
			for i, now := range tt.now {
				n := p.due(now, batchSize)
				if n != tt.want[i] {
					t.Errorf("at %d ns: %d due, want %d", now, n, tt.want[i])
				}
				p.take(n)
			}
		})
	}
}
