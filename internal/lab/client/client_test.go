package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"pacgan-appliance/internal/lab/plan"
)

// recorder is a burst that asks nobody: it keeps what it was asked for.
type recorder struct {
	mu    sync.Mutex
	calls []string
	err   error
}

func (r *recorder) burst(_ context.Context, rng *rand.Rand, from netip.Addr, most int) (int, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made := 1 + rng.IntN(most)
	r.calls = append(r.calls, fmt.Sprint(from, " ", made))
	return made, made / 2, r.err
}

func TestRunMakesExactlyN(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		r := &recorder{}
		s := &Set{Workers: 8, Kinds: map[string]Kind{"x": {plan.Clients(), r.burst}}}
		var p Progress
		if err := s.Run(t.Context(), "x", n, 1, &p); err != nil {
			t.Fatal(err)
		}
		if p.Made() != n || p.OK() > n {
			t.Errorf("%d requests and %d answers, want %d", p.Made(), p.OK(), n)
		}
	}
}

func TestSameSeedSameRequests(t *testing.T) {
	calls := func(seed uint64) []string {
		r := &recorder{}
		s := &Set{Workers: 1, Kinds: map[string]Kind{"x": {plan.Clients(), r.burst}}}
		if err := s.Run(t.Context(), "x", 200, seed, &Progress{}); err != nil {
			t.Fatal(err)
		}
		return r.calls
	}
	if diff := cmp.Diff(calls(1), calls(1)); diff != "" {
		t.Errorf("two runs of one seed differ:\n%s", diff)
	}
	if slices.Equal(calls(1), calls(2)) {
		t.Error("two seeds gave the same requests")
	}
}

func TestRunEndsAtAnErrorAndWithItsContext(t *testing.T) {
	broken := errors.New("no such address")
	s := &Set{Workers: 4, Kinds: map[string]Kind{"x": {plan.Clients(), (&recorder{err: broken}).burst}}}
	if err := s.Run(t.Context(), "x", 1<<30, 1, &Progress{}); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Kinds["x"] = Kind{plan.Clients(), (&recorder{}).burst}
	if err := s.Run(ctx, "x", 1<<30, 1, &Progress{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestTake(t *testing.T) {
	var left atomic.Int64
	left.Store(10)
	var got []int
	for range 5 {
		got = append(got, take(&left, 4))
	}
	if diff := cmp.Diff([]int{4, 4, 2, 0, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIsReply(t *testing.T) {
	request := &icmp.Echo{ID: 7, Seq: 2, Data: []byte("data")}
	for _, c := range []struct {
		name string
		m    icmp.Message
		want bool
	}{
		{"its reply", icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: request}, true},
		{"a request", icmp.Message{Type: ipv4.ICMPTypeEcho, Body: request}, false},
		{"another run's", icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 8, Seq: 2, Data: []byte("data")}}, false},
		{"an earlier one", icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte("data")}}, false},
		{"other data", icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{ID: 7, Seq: 2, Data: []byte("date")}}, false},
	} {
		b, err := c.m.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := isReply(b, request); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if isReply([]byte{0}, request) {
		t.Error("one byte is no reply")
	}
}

func TestPingDataIsLikeIputils(t *testing.T) {
	b := pingData(time.Unix(1, 2000), pingSize)
	want := append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}, 0x10, 0x11)
	if diff := cmp.Diff(want, b[:18]); diff != "" || len(b) != 56 || b[55] != 0x37 {
		t.Errorf("%d bytes ending in %#x, want 56 ending in 0x37; the first (-want +got):\n%s", len(b), b[len(b)-1], diff)
	}
}

func TestUnanswered(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), true},
		{&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}, true},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), true},
		{io.ErrUnexpectedEOF, true},
		{&os.SyscallError{Syscall: "bind", Err: syscall.EADDRNOTAVAIL}, false},
		{syscall.EPERM, false},
	} {
		if got := unanswered(c.err); got != c.want {
			t.Errorf("%v: %t, want %t", c.err, got, c.want)
		}
	}
}

func TestBothSetsSpeakEveryLabel(t *testing.T) {
	system, err := System()
	if err != nil {
		t.Skip(err)
	}
	for name, s := range map[string]*Set{"embedded": Embedded(), "system": system} {
		for _, label := range plan.Flagged() {
			if diff := cmp.Diff(plan.Testers(), s.Kinds[label].From, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("%s: who sends %s (-want +got):\n%s", name, label, diff)
			}
		}
		for _, label := range []string{"ping", "dns", "http"} {
			if diff := cmp.Diff(plan.Clients(), s.Kinds[label].From, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("%s: who sends %s (-want +got):\n%s", name, label, diff)
			}
		}
		if len(s.Kinds) != 3+len(plan.Flagged()) {
			t.Errorf("%s: %d labels", name, len(s.Kinds))
		}
	}
}
