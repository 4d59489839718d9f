package train

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAlign shows where packets are cut: fixed parts in brackets, those of varying length in braces.
func TestAlign(t *testing.T) {
	long := strings.Repeat("x", 40)
	for _, tt := range []struct {
		name    string
		packets []string
		want    []string // cuts of the first packets of each shape
	}{
		{"one length", repeat(30, "head0tail", "head1tail", "head2tail"), []string{"[head0tail]"}},
		{"a number before zeros", repeat(30, "time\x01\x07\x00\x00\x00\x00\x00end", "time\x09\x08\x02\x00\x00\x00\x00end", "time\x08\x00\x00\x00\x00\x00\x00end"),
			[]string{"[time\x01\x07\x00\x00\x00\x00\x00end]"}},
		{"a field that shifts what follows", repeat(30, "GET / HTTP", "GET /a HTTP", "GET /news HTTP"), []string{"[GET /]{} [ HTTP]"}},
		{"two fields", repeat(30, "GET / Host: a.test", "GET /aa Host: bb.test", "GET /b Host: ccc.test", "GET / Host: d.test"),
			[]string{"[GET /]{}[ Host: ]{a}[.test]"}},
		{"text that repeats", repeat(30, "begin"+long, "begin"+long+"xx", "begin"+long+"xxxxxx"), []string{"[begin" + long[1:] + "]{x}"}},
		{"anchors that overlap", repeat(40, "abcdef0", "abcd..cdef1", "abcdef22", "abcd.cdef3"), []string{"[abcd]{..cdef1}"}},
		{"an odd packet", append(repeat(30, "GET /a HTTP/1.1 ok", "GET /zz HTTP/1.1 ok"), "nothing of it"),
			[]string{"[GET /]{a}[ HTTP/1.1 ok]", "[nothing of it]"}},
		{"nothing in common", repeat(30, "ab", "cdefg"), []string{"[ab]{}"}},
		{"few", []string{"GET / HTTP", "GET /a HTTP"}, []string{"[GET / HTTP]{}"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var packets [][]byte
			for _, p := range tt.packets {
				packets = append(packets, []byte(p))
			}
			var got []string
			for _, a := range align(packets) {
				got = append(got, a.show(0))
				for p := range a.packets {
					if joined := a.joined(p); joined != string(a.packets[p]) {
						t.Errorf("parts of %q make %q", a.packets[p], joined)
					}
				}
			}
			for i, w := range tt.want {
				tt.want[i] = strings.ReplaceAll(w, "} [", "}[")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("shapes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAlignKeepsAllPackets: random bytes, cut somehow, are all there.
func TestAlignKeepsAllPackets(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		packets := many(1+rng.IntN(300), func() []byte {
			p := make([]byte, rng.IntN(30))
			for i := range p {
				p[i] = byte(rng.IntN(1 + int(seed)))
			}
			return p
		})
		n := 0
		for _, a := range align(packets) {
			n += len(a.packets)
			for p := range a.packets {
				if joined := a.joined(p); joined != string(a.packets[p]) {
					t.Fatalf("seed %d: parts of %q make %q", seed, a.packets[p], joined)
				}
			}
		}
		if n != len(packets) {
			t.Errorf("seed %d: %d of %d packets", seed, n, len(packets))
		}
	}
}

// repeat returns n strings, those given in turns.
func repeat(n int, s ...string) []string {
	var out []string
	for i := range n {
		out = append(out, s[i%len(s)])
	}
	return out
}

// show writes a packet with its parts marked.
func (a *aligned) show(packet int) string {
	var b strings.Builder
	for part, fixed := range a.fixed {
		form := "{%s}"
		if fixed {
			form = "[%s]"
		}
		fmt.Fprintf(&b, form, a.part(packet, part))
	}
	return b.String()
}

func (a *aligned) joined(packet int) string {
	var b strings.Builder
	for part := range a.fixed {
		b.Write(a.part(packet, part))
	}
	return b.String()
}
