package verify

import (
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// TestAwaitedUntilSwept: the glance by which the matcher passes what is not
// ours never takes a reply for a stranger's while its expectation is there.
func TestAwaitedUntilSwept(t *testing.T) {
	const timeout = 2 * time.Second
	reply := mustEcho(t, 77, 3, pingData)
	for _, tt := range []struct {
		name   string
		age    time.Duration
		sweeps int
		want   uint32
	}{
		{"before the first sweep", 0, 0, steal},
		{"pending", 0, 5, steal},
		{"expired", timeout + time.Second, 5, steal},
		{"as old as entries get", 2*timeout - time.Second/2, 3, steal},
		{"overdue for long, as if nobody had swept", 4 * timeout, 1, steal},
		{"deleted", 4 * timeout, 3, pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := mustOpen(t, Options{Timeout: timeout})
			began := time.Now()
			mustExpect(t, v, echoKey(pingData), pending(ping), tt.age)
			for range tt.sweeps {
				mustEnds(t, v, ping)
			}
			var e matchExpectation
			kept := v.match.Expectations.Lookup(echoKey(pingData), &e) == nil
			if kept && tt.want == pass {
				t.Fatal("the expectation is there")
			}
			if age := tt.age + time.Since(began); !kept && tt.want == steal && tt.age < 2*timeout && age > 2*timeout {
				t.Skipf("the machine was too slow: the entry is %v old, and may be deleted", age)
			}
			if got := mustMatch(t, v, reply); got != tt.want {
				t.Errorf("action %#x, want %#x", got, tt.want)
			}
		})
	}
}

// TestGlance: without a packet of ours on its way the table is not asked, and
// with one in the frame's slot it is.
func TestGlance(t *testing.T) {
	frames := map[string][]byte{
		"echo": mustEcho(t, 77, 3, pingData),
		"tcp":  mustSegment(t, segment(1, 1, "A"), ""),
		"udp":  mustReply(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 2}, gopacket.Payload("x")),
	}
	v := mustOpen(t, Options{Timeout: time.Nanosecond})
	for range 2 {
		mustEnds(t, v, ping)
	}
	var since uint64
	if err := v.match.AwaitedSince.Lookup(uint32(0), &since); err != nil || since == 0 {
		t.Fatalf("since %d: %v", since, err)
	}
	for name, frame := range frames {
		if got := mustMatch(t, v, frame); got != pass {
			t.Errorf("%s: action %#x, want it passed", name, got)
		}
	}
}
