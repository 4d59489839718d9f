package train

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
)

// TestFields makes packets of fields of one kind and says which slots become of them.
func TestFields(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	names := strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon")
	hex := func(n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "%x", rng.IntN(16))
		}
		return b.String()
	}
	for _, tt := range []struct {
		name   string
		packet func() string
		want   string
	}{
		{"a constant", func() string { return "same" }, "fixed"},
		{"random bytes", func() string { return "abcd" + string([]byte{byte(rng.Uint32()), byte(rng.Uint32())}) }, "fixed digit digit digit digit"},
		{"an address", func() string { return "abcd" + string([]byte{byte(11 + rng.IntN(10))}) }, "fixed word(10)"},
		{"an address beside a random byte", func() string { return "abcd" + string([]byte{byte(11 + rng.IntN(10)), byte(rng.Uint32())}) },
			"fixed word(10) digit digit"},
		{"names", func() string { return "name=" + names[rng.IntN(len(names))] + ".test" }, "fixed word(20) fixed"},
		{"names and how long they are", func() string {
			p := []byte("\x45\x00\x00\x00name=" + names[rng.IntN(len(names))] + ".test")
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)-4))
			return string(p)
		}, "fixed length-4 fixed word(20) fixed"},
		{"tokens", func() string { return "id=" + hex(32) + ";" }, "fixed" + strings.Repeat(" word(16)", 32) + " fixed"},
		{"tokens of two lengths", func() string { return "token=" + hex(8*(1+rng.IntN(2))) + ";end." }, "fixed width(2)" + strings.Repeat(" word(16)", 16) + " fixed"},
		{"a few endings", func() string { return "count" + "0123456789abcdef"[:5+rng.IntN(11)] }, "fixed word(11)"},
		{"random bytes to the end", func() string {
			p := []byte("random")
			for range 3 + rng.IntN(8) {
				p = append(p, byte(rng.Uint32()))
			}
			return string(p)
		}, "fixed" + strings.Repeat(" digit digit", 3) + " width(8)" + strings.Repeat(" digit digit", 7)},
		{"names that begin with their length", func() string {
			user, host := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
			return fmt.Sprintf("names\x00%c%s\x00%c%s", len(user), user, len(host), host)
		}, "fixed digit digit word(20) fixed digit digit word(20)"},
		{"numbers of three or four bytes", func() string {
			n := []byte{0xa0, 0, 2, byte(3 + rng.IntN(2))}
			n[1] = n[3] + 2
			for range n[3] {
				n = append(n, byte(rng.Uint32()))
			}
			return "head" + string(n)
		}, "fixed length-6 fixed length-8" + strings.Repeat(" digit digit", 3) + " width(2) digit digit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packets := many(400, func() []byte { return []byte(tt.packet()) })
			shapes := align(packets)
			if len(shapes) != 1 {
				t.Fatalf("%d shapes", len(shapes))
			}
			if diff := cmp.Diff(tt.want, layOut(shapes[0]).show()); diff != "" {
				t.Errorf("slots (-want +got):\n%s", diff)
			}
		})
	}
}

// show names the slots of a layout.
func (l *layout) show() string {
	var names []string
	for i, s := range l.slots {
		switch s.Kind {
		case model.SlotFixed:
			names = append(names, "fixed")
		case model.SlotLength:
			names = append(names, fmt.Sprintf("length%+d", s.Add))
		case model.SlotWord:
			names = append(names, fmt.Sprintf("word(%d)", s.Size))
		case model.SlotDigit:
			names = append(names, "digit")
		case model.SlotWidth:
			for _, v := range l.vars {
				if v.slot == int32(i) {
					names = append(names, fmt.Sprintf("width(%d)", v.arity))
				}
			}
		}
	}
	return strings.Join(names, " ")
}

// TestShiftedHostsFollowTheirAddress: 24 hosts, each at an address of its own, behind paths of 1 to 16 bytes that shift
// the host: each generated packet joins a host to its address, and combinations are new that training never had.
func TestShiftedHostsFollowTheirAddress(t *testing.T) {
	for _, n := range []int{130, 1000} {
		rng := rand.New(rand.NewPCG(1, 1))
		paths := []string{"/", "/news", "/about-us", "/img/logo.png", "/shop/cart", "/archive/2024/11"}
		valid := map[string]bool{}
		packets := many(n, func() []byte {
			host := rng.IntN(24)
			p := fmt.Sprintf("\x45%c\x0a%c GET %s HTTP/1.1\r\nHost: h%s.test\r\n\r\n", byte(rng.Uint32()%128), 65+host,
				paths[rng.IntN(len(paths))], strings.Repeat("x", host%7)+string(rune('a'+host)))
			return []byte(p)
		})
		for host := range 24 {
			for _, path := range paths {
				valid[fmt.Sprintf("%c GET %s HTTP/1.1\r\nHost: h%s.test\r\n\r\n", 65+host, path, strings.Repeat("x", host%7)+string(rune('a'+host)))] = true
			}
		}
		known := map[string]bool{}
		for _, p := range packets {
			known[string(p[3:])] = true
		}
		wrong, unseen := 0, 0
		sampled := mustSample(t, mustTreeModel(t, map[string][][]byte{"http": packets}), "http", 3000)
		for _, p := range sampled {
			if !valid[string(p[3:])] {
				wrong++
			} else if !known[string(p[3:])] {
				unseen++
			}
		}
		t.Logf("%d packets: %d of %d wrong, %d of combinations that training never had", n, wrong, len(sampled), unseen)
		if wrong > 0 {
			t.Errorf("%d packets: %d of %d wrong", n, wrong, len(sampled))
		}
		if n == 130 && unseen < len(sampled)/10 {
			t.Errorf("%d of %d packets are of combinations that training never had: fewer than a tenth", unseen, len(sampled))
		}
	}
}

// TestNeighboursOfTwoCauses: an address follows the host, and the byte beside it follows client and address, as the ports
// do that Linux chooses. As one word of both, each pair of client and host that training lacks would draw a wrong
// address, and the more so the better the byte tells which address it stands beside.
func TestNeighboursOfTwoCauses(t *testing.T) {
	for _, ports := range []int{30, 55, 60, 90, 120} {
		for _, n := range []int{130, 300, 1000} {
			rng := rand.New(rand.NewPCG(1, 1))
			valid := map[string]bool{}
			packets := many(n, func() []byte {
				client, host := rng.IntN(10), rng.IntN(12)
				address, name := 80+host%6, strings.Repeat("x", host%5)+string(rune('a'+host))
				port := 130 + (client*7+address*5)%ports
				valid[fmt.Sprint(address, name)] = true
				return fmt.Appendf([]byte{'i', 'p', 11 + byte(client), 10, 77, 2, byte(address), byte(port), byte(rng.Uint32())}, "GET / Host: %s.test", name)
			})
			wrong := 0
			sampled := mustSample(t, mustTreeModel(t, map[string][][]byte{"http": packets}), "http", 3000)
			for _, p := range sampled {
				name := strings.TrimSuffix(string(p[len("ip......?GET / Host: "):]), ".test")
				if !valid[fmt.Sprint(p[6], name)] {
					wrong++
				}
			}
			if wrong > 0 {
				t.Errorf("%d packets, %d ports: %d of %d addresses are another host's", n, ports, wrong, len(sampled))
			}
		}
	}
}
