package inject_test

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/inject"
)

// startEcho answers each datagram after a random delay of up to most.
func startEcho(tb testing.TB, n *network, most time.Duration) {
	tb.Helper()
	var conn net.PacketConn
	mustDo(tb, n.servers, func() (err error) {
		conn, err = net.ListenPacket("udp4", pingServer+":7")
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		random := rand.New(rand.NewPCG(3, 4))
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			data := append([]byte(nil), buf[:size]...)
			time.AfterFunc(time.Duration(random.Int64N(int64(most))), func() { conn.WriteTo(data, from) })
		}
	}()
	tb.Cleanup(func() {
		mustClose(tb, conn)
		<-done
	})
}

// TestIdentityWhenRepliesRaceTheTimeout has every reply come around the time
// at which its packet expires, for few flows that are used all the time, with
// a sweep every few milliseconds: whoever is first, each packet is counted once.
func TestIdentityWhenRepliesRaceTheTimeout(t *testing.T) {
	const timeout = 20 * time.Millisecond
	n := newNetwork(t, networkOptions{timeout: timeout})
	startEcho(t, n, 2*timeout)
	list := make([]labelled, 6000)
	for i := range list {
		list[i] = mustDatagram(t, pingServer, 7, "x")
		list[i].ip[20], list[i].ip[21] = 0x80, byte(i%20) // source port
	}
	stop := make(chan struct{})
	swept := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				swept <- nil
				return
			default:
			}
			if err := n.verifier.Sweep(); err != nil {
				swept <- err
				return
			}
		}
	}()
	if _, err := n.injector.Run(t.Context(), &packets{list: list}, inject.RunOptions{Rate: 4000}); err != nil {
		t.Fatal(err)
	}
	close(stop)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	got := n.settled(t)[reply] // checks the identity
	if got.Inflight != 0 || got.Answered == 0 || got.Expired == 0 || got.Late+got.Duplicate == 0 {
		t.Errorf("no race: %+v", got)
	}
	t.Logf("%+v", got)
}

// TestFullTableIsCounted: what finds no room is refused and counted; later
// packets find room again.
func TestFullTableIsCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine, timeout: 300 * time.Millisecond, expectations: 100})
		mustRun(t, n.servers.Command("ip", "route", "add", "blackhole", clientNet))
		got := n.inject(t, pings(t, 1000, pingServer), inject.RunOptions{})[ping]
		full := got.Failed[inject.ReasonFull]
		want := account{Label: "ping", Generated: 1000, Expired: 1000 - full, OnWire: 1000 - full,
			Failed: map[string]uint64{inject.ReasonFull: full}}
		if diff := cmp.Diff(want, got, emptyIsNil); diff != "" || full == 0 {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		mustRun(t, n.servers.Command("ip", "route", "del", "blackhole", clientNet))
		eventually(t, "the table has room again", func() bool {
			before := n.accounts(t)[ping].Answered
			list := pings(t, 1, pingServer)
			return n.inject(t, list, inject.RunOptions{})[ping].Answered == before+1
		})
	})
}

// TestEqualPacketsEachCount: equal packets in flight are one entry in the
// table, and as many in the counts.
func TestEqualPacketsEachCount(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	list := make([]labelled, 500)
	for i := range list {
		list[i] = mustPing(t, "10.77.1.11", pingServer, 1, 1, "the same")
	}
	got := n.inject(t, list, inject.RunOptions{})[ping]
	want := account{Label: "ping", Generated: 500, Answered: 500, OnWire: 500}
	if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// TestInflightIsWhatTheTableHolds compares the sweeper's count with the table
// itself while packets wait.
func TestInflightIsWhatTheTableHolds(t *testing.T) {
	n := newNetwork(t, networkOptions{timeout: 2 * time.Second})
	mustRun(t, n.servers.Command("ip", "route", "add", "blackhole", clientNet))
	if _, err := n.injector.Run(t.Context(), &packets{list: pings(t, 300, pingServer)}, inject.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := n.accounts(t)[ping].Inflight; got != 300 {
		t.Errorf("%d inflight, want 300", got)
	}
	type entry struct {
		First, Sent, Left uint64
		State, ID         uint32
		ISS, Next         uint32
		Label, Flags      uint8
		_                 [6]uint8
	}
	var key [44]byte
	var e entry
	var pending uint32
	entries := n.verifier.Maps().Expectations.Iterate()
	for entries.Next(&key, &e) {
		pending += e.State
	}
	if pending != 300 {
		t.Errorf("%d pending in the table, want 300", pending)
	}
}
