package appliance

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"pacgan-appliance/internal/inject"
)

// mustDetach takes the guard off an end of the injection cable, as a hostile
// administrator would.
func mustDetach(t *testing.T, end string) {
	t.Helper()
	hooks := map[string]ebpf.AttachType{inject.DefaultNear: ebpf.AttachTCXEgress, inject.DefaultFar: ebpf.AttachTCXIngress}
	at, err := net.InterfaceByName(end)
	must(t, err)
	found, err := link.QueryPrograms(link.QueryOptions{Target: at.Index, Attach: hooks[end]})
	must(t, err)
	if len(found.Programs) != 1 {
		t.Fatalf("%d programs on %s, want 1", len(found.Programs), end)
	}
	id, _ := found.Programs[0].LinkID()
	guard, err := link.NewFromID(id)
	must(t, err)
	defer guard.Close()
	detacher, ok := guard.(interface{ Detach() error })
	if !ok {
		t.Fatalf("link %T cannot be detached", guard)
	}
	must(t, detacher.Detach())
}

// TestDetachedGuard takes the guard off both ends of a running daemon's cable:
// nothing leaves, tcpdump is the witness, and the status says where packets are
// lost.
func TestDetachedGuard(t *testing.T) {
	d := mustDaemon(t, nil)
	d.train(t)
	if mustTcpdump(t, time.Second) == "" {
		t.Fatal("the witness sees nothing of a daemon that sends")
	}
	if w := d.status(t).Warnings; len(w) != 0 {
		t.Errorf("warnings beforehand: %q", w)
	}
	mustDetach(t, inject.DefaultNear)
	if mustTcpdump(t, time.Second) == "" {
		t.Error("nothing leaves without the guard at the near end: the far one is there")
	}
	mustDetach(t, inject.DefaultFar)
	generated := d.status(t).All.Generated
	if seen := mustTcpdump(t, time.Second); seen != "" {
		t.Errorf("left without a guard:\n%s", seen)
	}
	eventually(t, "the daemon sends no more", func() bool { return d.status(t).All.Generated > generated+100 })
	d.mustAddUp(t) // and rests
	s := d.status(t)
	if lost := s.All.FailedReasons[inject.ReasonLost]; lost < 100 || s.Drops.Cable < lost { // control packets are on the cable, too
		t.Errorf("%d packets failed as %q, %d dropped on the cable", lost, inject.ReasonLost, s.Drops.Cable)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "packets lost between the socket and the guard") {
		t.Errorf("warnings %q", s.Warnings)
	}
}
