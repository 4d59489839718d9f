package train

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pacgan-appliance/internal/model"
)

// fromSources makes packets of 8 sources, n of each; field is what one has of its own.
func fromSources(n int, field func(rng *rand.Rand, source int) string) [][]byte {
	var packets [][]byte
	for source := range 8 {
		rng := rand.New(rand.NewPCG(1, uint64(source)))
		own := field(rng, source)
		for range n {
			p := []byte("\x45\x00\x00\x00\x00\x00@\x00@\x11\x00\x00\x0a\x4d\x01\x00\x0a\x4d\x02\x35")
			p[3], p[5], p[15] = byte(len(p)+20+len(own)), byte(rng.Uint32()), byte(11+source)
			packets = append(packets, fmt.Appendf(p, "question %c cookie: %s end", 'a'+rng.IntN(4), own))
		}
	}
	return packets
}

// TestRenewSecrets: secrets are others afterwards, the same of one source still; all else is as it was.
func TestRenewSecrets(t *testing.T) {
	hexText := func(rng *rand.Rand, _ int) string { return fmt.Sprintf("%016x", rng.Uint64()) }
	for _, tt := range []struct {
		name  string
		n     int
		field func(rng *rand.Rand, source int) string
		want  bool
	}{
		{"a cookie", 20, func(rng *rand.Rand, _ int) string { return string(random(rng, 8)) }, true},
		{"a token of hex digits", 20, hexText, true},
		{"a token in capitals", 20, func(rng *rand.Rand, s int) string { return strings.ToUpper(hexText(rng, s)) }, true},
		{"a token of two lengths", 20, func(rng *rand.Rand, s int) string { return hexText(rng, s)[:12+s%2*4] }, true},
		{"a name", 20, func(_ *rand.Rand, s int) string {
			return strings.Fields("workstation laboratory printserver mailserver gateway01 frontdesk accounting warehouse")[s][:8]
		}, false},
		{"one for all", 20, func(*rand.Rand, int) string { return "\x8f\x02\x9d\x41\x6e\xb7\x33\xca" }, false},
		{"a number", 20, func(_ *rand.Rand, s int) string { return string([]byte{0, 0, 0, byte(s)}) }, false},
		{"short", 20, func(rng *rand.Rand, _ int) string { return string(random(rng, 2)) }, false},
		{"once each", 1, func(rng *rand.Rand, _ int) string { return string(random(rng, 8)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packets := fromSources(tt.n, tt.field)
			before := bytes.Join(packets, nil)
			renewed := renewSecrets(packets, rand.New(rand.NewPCG(2, 2)))
			if !bytes.Equal(before, bytes.Join(packets, nil)) {
				t.Fatal("the captured packets are changed")
			}
			own := map[string]string{}
			for i, p := range packets {
				head, was, _ := bytes.Cut(p, []byte(" cookie: "))
				newHead, is, found := bytes.Cut(renewed[i], []byte(" cookie: "))
				if !found || !bytes.Equal(head, newHead) || len(was) != len(is) || !bytes.HasSuffix(is, []byte(" end")) {
					t.Fatalf("%q has become %q", p, renewed[i])
				}
				if changed := !bytes.Equal(was, is); changed != tt.want {
					t.Fatalf("%q has become %q: changed %t, want %t", was, is, changed, tt.want)
				}
				if known, ok := own[source(p)]; ok && known != string(is) {
					t.Errorf("source %x has %q and %q", source(p), known, is)
				}
				own[source(p)] = string(is)
				if strings.HasPrefix(tt.name, "a token") && strings.Trim(string(is[:len(is)-4]), "0123456789abcdefABCDEF") != "" {
					t.Errorf("%q is no token", is)
				}
			}
		})
	}
}

// TestRenewedAreNotSent: with the option no captured cookie is drawn, without it captured ones are.
func TestRenewedAreNotSent(t *testing.T) {
	packets := fromSources(30, func(rng *rand.Rand, _ int) string { return string(random(rng, 8)) })
	captured := map[string]bool{}
	for _, p := range packets {
		captured[string(p[len(p)-12:len(p)-4])] = true
	}
	for _, renew := range []bool{false, true} {
		r := mustTrain(t, Data{{"dns", packets}}, Options{Recipe: model.RecipeTree, Seed: 1, RenewSecrets: renew})
		repeated := 0
		for _, p := range samplePackets(t, r.Model, "dns", 500) {
			if captured[string(p[len(p)-12:len(p)-4])] {
				repeated++
			}
		}
		if want := map[bool]int{false: 500, true: 0}[renew]; repeated != want {
			t.Errorf("renew %t: %d of 500 packets have a captured cookie, want %d", renew, repeated, want)
		}
	}
}
