package inject_test

import (
	"bufio"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/inject"
)

// mustTcpdump has tcpdump watch the wire; the result ends it once it has seen a
// packet that it prints with until, and is what it saw of IP, a packet on each line.
func mustTcpdump(t *testing.T, wire string) (seen func(until string) []string) {
	t.Helper()
	cmd := exec.Command("tcpdump", "-i", wire, "-n", "-l", "-B", "16384", "--immediate-mode", "ip or ip6 and not dst net ff02::/16")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "listening on") {
		continue
	}
	return func(until string) (packets []string) {
		t.Helper()
		defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop()
		for printed := bufio.NewScanner(out); printed.Scan(); {
			if printed.Text() == "" { // after an interrupt
				continue
			}
			packets = append(packets, printed.Text())
			if strings.Contains(printed.Text(), until) {
				_ = cmd.Process.Signal(os.Interrupt) // it may have ended by itself
			}
		}
		for lines.Scan() {
			continue
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("tcpdump: %v", err)
		}
		return packets
	}
}

// TestHostileDestinationsNeverLeave sends packets of all kinds for 10,000
// destinations outside the allow-list, and watches the wire. The last packet
// is allowed: tcpdump sees it and its reply, and nothing else.
func TestHostileDestinationsNeverLeave(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine, allow: []netip.Prefix{netip.MustParsePrefix("10.77.2.80/32")}})
		w := newWitness(t, "wan0")
		seen := mustTcpdump(t, "wan0")
		random := rand.New(rand.NewPCG(1, 2))
		var list []labelled
		for len(list) < 10_000 {
			p := hostilePacket(t, random, len(list)%len(n.labels))
			if netip.AddrFrom4([4]byte(p.ip[16:20])) != netip.MustParseAddr(pingServer) {
				list = append(list, p)
			}
		}
		accounts := n.inject(t, list, inject.RunOptions{})
		var blocked uint64
		for _, a := range accounts {
			blocked += a.Blocked
			if a.OnWire != 0 || a.Generated != a.Blocked {
				t.Errorf("label %s: %d on the wire, %d of %d blocked", a.Label, a.OnWire, a.Blocked, a.Generated)
			}
		}
		if blocked != 10_000 {
			t.Errorf("%d blocked, want 10000", blocked)
		}
		if seen := w.frames(t, true); len(seen) != 0 {
			t.Errorf("%d frames on the wire; the first: %x", len(seen), seen[0])
		}
		drops, err := n.injector.Drops()
		if err != nil {
			t.Fatal(err)
		}
		if drops.NotAllowed != 10_000 {
			t.Errorf("the guard dropped %d as not allowed, want 10000", drops.NotAllowed)
		}
		n.inject(t, pings(t, 1, pingServer), inject.RunOptions{})
		if lines := seen(": ICMP echo reply"); len(lines) != 2 || !strings.Contains(lines[0], "> "+pingServer+": ICMP echo request") {
			t.Errorf("tcpdump saw %d packets, want a ping and its reply: %q", len(lines), lines[:min(3, len(lines))])
		}
	})
}

// hostilePacket is a well-framed packet of any protocol for any address near
// or far from what is allowed.
func hostilePacket(tb testing.TB, random *rand.Rand, label int) labelled {
	tb.Helper()
	var to [4]byte
	binary.BigEndian.PutUint32(to[:], random.Uint32())
	switch random.IntN(4) {
	case 0: // next to what is allowed
		copy(to[:], []byte{10, 77, 2})
	case 1: // broadcast, multicast, loopback
		to[0] = []byte{255, 224, 239, 127, 0}[random.IntN(5)]
	}
	dst := netip.AddrFrom4(to).String()
	switch random.IntN(4) {
	case 0:
		return labelled{label, mustPing(tb, "10.77.1.11", dst, 1, 2, "x").ip}
	case 1:
		return labelled{label, mustPacket(tb, "10.77.1.11", dst, layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 53}, gopacket.Payload("x"))}
	case 2:
		return labelled{label, mustPacket(tb, "10.77.1.11", dst, layers.IPProtocolTCP, &layers.TCP{SrcPort: 1, DstPort: 80, SYN: true}, gopacket.Payload("x"))}
	}
	return labelled{label, mustPacket(tb, "10.77.1.11", dst, layers.IPProtocol(40+random.IntN(200)), gopacket.Payload(make([]byte, 40)))}
}

// TestAllowListIsObeyedAtOnce takes a prefix away in the middle of a run.
func TestAllowListIsObeyedAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		source := &hooked{packets: packets{list: pings(t, 2000, pingServer)}}
		w := newWitness(t, "wan0")
		var before int
		source.at, source.call = 1000, func() {
			if err := n.injector.SetAllow(nil, nil); err != nil {
				t.Error(err)
			}
			before = len(w.frames(t, true))
		}
		if _, err := n.injector.Run(t.Context(), source, inject.RunOptions{Rate: 10_000}); err != nil {
			t.Fatal(err)
		}
		if after := len(w.frames(t, true)); after != 0 {
			t.Errorf("%d frames left after the list was emptied", after)
		}
		got := n.settled(t)[ping]
		if got.OnWire != uint64(before) || got.Blocked != 2000-got.OnWire {
			t.Errorf("%d on the wire of which the witness saw %d, %d blocked", got.OnWire, before, got.Blocked)
		}
	})
}

// hooked is a source that does something before its at-th packet.
type hooked struct {
	packets
	at   int
	call func()
}

func (h *hooked) Next() (inject.Packet, error) {
	if h.next == h.at {
		h.call()
	}
	return h.packets.Next()
}

// TestNothingLeavesWithoutTheGuard detaches the guard in the middle of a run.
func TestNothingLeavesWithoutTheGuard(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		n := newNetwork(t, networkOptions{engine: engine})
		w := newWitness(t, "wan0")
		source := &hooked{packets: packets{list: pings(t, 2000, pingServer)}, at: 1000}
		source.call = func() {
			inject.DetachGuard(t, n.injector, inject.FarEnd, inject.NearEnd)
			w.frames(t, true) // what left before
		}
		if _, err := n.injector.Run(t.Context(), source, inject.RunOptions{Rate: 10_000}); err != nil {
			t.Fatal(err)
		}
		if after := len(w.frames(t, true)); after != 0 {
			t.Errorf("%d frames left without a guard", after)
		}
		got := n.settled(t)[ping]
		if lost := got.Failed[inject.ReasonLost]; lost < 1000 || lost != 2000-got.OnWire {
			t.Errorf("%d lost before the guard, %d on the wire", lost, got.OnWire)
		}
	})
}

// TestEitherEndGuards: one end of the cable alone lets out nothing that is
// forbidden; without the far one live frames find no way out at all.
func TestEitherEndGuards(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine inject.Engine) {
		for name, end := range map[string]inject.End{"without near": inject.NearEnd, "without far": inject.FarEnd} {
			t.Run(name, func(t *testing.T) {
				n := newNetwork(t, networkOptions{engine: engine})
				w := newWitness(t, "wan0")
				inject.DetachGuard(t, n.injector, end)
				var list []labelled
				for i := range uint16(100) {
					list = append(list, mustPing(t, "10.77.1.11", pingServer, 1, i, "x"), mustPing(t, "10.77.1.11", "10.77.3.1", 1, i, "x"))
				}
				want := account{Label: "ping", Generated: 200, Answered: 100, OnWire: 100, Blocked: 100}
				if end == inject.FarEnd && engine == inject.EngineXDP {
					want = account{Label: "ping", Generated: 200, Failed: map[string]uint64{inject.ReasonLost: 200}}
				}
				got := n.inject(t, list, inject.RunOptions{})[ping]
				if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
					t.Errorf("account (-want +got):\n%s", diff)
				}
				if seen := len(w.frames(t, true)); seen != int(want.OnWire) {
					t.Errorf("%d frames on the wire, want %d", seen, want.OnWire)
				}
			})
		}
	})
}

func TestOpenErrors(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	maps := inject.Maps(n.verifier.Maps())
	labels := []inject.Label{{Name: "ping", Expects: true}}
	tests := []struct {
		name    string
		options inject.Options
		want    string
	}{
		{"no such interface", inject.Options{Wire: "wan9", Labels: labels, Maps: maps}, `inject: interface "wan9" does not exist: "ip link" lists those that do`},
		{"no Ethernet", inject.Options{Wire: "lo", Labels: labels, Maps: maps, Near: "a0", Far: "a1"},
			`inject: interface "lo" has no Ethernet address: packets can be injected through Ethernet interfaces only`},
		{"no labels", inject.Options{Wire: "wan0", Maps: maps}, `inject: 0 labels: 1 to 96 are possible`},
		{"no maps", inject.Options{Wire: "wan0", Labels: labels}, `inject: no maps: the matcher must be open first (verify.Verifier.Maps)`},
		{"name taken", inject.Options{Wire: "wan0", Labels: labels, Maps: maps, Near: "lan0", Far: "a1"},
			`inject: interface "lan0" exists and is not ours: rename or delete it`},
		{"bad prefix", inject.Options{Wire: "wan0", Labels: labels, Maps: maps, Near: "a0", Far: "a1", Allow: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
			`inject: allow-list: prefix ::ffff:10.0.0.0/104 is neither IPv4 nor IPv6`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, err := inject.Open(tt.options)
			if err == nil {
				mustClose(t, in)
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	if out, _ := exec.Command("ip", "-o", "link").Output(); strings.Contains(string(out), " a0") {
		t.Errorf("a cable was left behind:\n%s", out)
	}
}

// TestCloseLeavesNothingBehind, and what a killed process left is replaced.
func TestCloseLeavesNothingBehind(t *testing.T) {
	n := newNetwork(t, networkOptions{})
	inject.AbandonCable(t, n.injector) // a second Open finds a cable of ours
	again, err := inject.Open(inject.Options{
		Wire: "wan0", Labels: []inject.Label{{Name: "ping", Expects: true}}, Maps: inject.Maps(n.verifier.Maps()),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command("ip", "-o", "link").Output(); strings.Contains(string(out), inject.DefaultNear) {
		t.Errorf("a cable was left behind:\n%s", out)
	}
}
