package train

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
)

// relationKinds are traffic that repeats itself, in other values each time.
func relationKinds() []fieldKind {
	call := regexp.MustCompile(`^CALL via 10\.(\d+)\.(\d+):(\d+) tag=([0-9a-f]+)\r\nContact: (\d+), id (\d+)\r\nLength: (\d+)\r\n(.*)$`)
	return []fieldKind{
		{"a port in the header, and as text", func(rng *rand.Rand) []byte {
			port := uint16(1 + rng.IntN(1<<16-1))
			return fmt.Appendf(binary.BigEndian.AppendUint16([]byte("head"), port), " RTSP client_port=%d-%d;", port, int(port)+1)
		}, func(p []byte) bool {
			port := binary.BigEndian.Uint16(p[4:])
			return string(p[6:]) == fmt.Sprintf(" RTSP client_port=%d-%d;", port, int(port)+1)
		}},
		{"an address in the header, and as text", func(rng *rand.Rand) []byte {
			a := random(rng, 2)
			return fmt.Appendf(nil, "\x0a\x01%s INVITE sip:x@10.1.%d.%d;end", a, a[0], a[1])
		}, func(p []byte) bool {
			return string(p[4:]) == fmt.Sprintf(" INVITE sip:x@10.1.%d.%d;end", p[2], p[3])
		}},
		{"a call", func(rng *rand.Rand) []byte {
			host, port, tag := random(rng, 2), 1024+rng.IntN(60000), rng.Uint32()
			body := strings.Repeat("v=0 ", rng.IntN(40))
			return fmt.Appendf(nil, "CALL via 10.%d.%d:%d tag=%x\r\nContact: %d, id %d\r\nLength: %d\r\n%s", host[0], host[1], port, tag, port, tag, len(body), body)
		}, func(p []byte) bool {
			m := call.FindSubmatch(p)
			if m == nil {
				return false
			}
			tag, err := strconv.ParseUint(string(m[4]), 16, 64)
			return err == nil && bytes.Equal(m[3], m[5]) && fmt.Sprint(tag) == string(m[6]) && fmt.Sprint(len(m[8])) == string(m[7])
		}},
		{"a number twice", func(rng *rand.Rand) []byte {
			id := random(rng, 16)
			return slices.Concat([]byte("head"), id, []byte("middle"), random(rng, 60), id)
		}, func(p []byte) bool { return bytes.Equal(p[4:20], p[86:]) }},
		{"a token of varying length twice", func(rng *rand.Rand) []byte {
			token := strconv.FormatUint(rng.Uint64()>>rng.IntN(30), 36)
			return fmt.Appendf(nil, "from=<%s> from-again=<%s>.", token, token)
		}, func(p []byte) bool {
			token := p[6:bytes.IndexByte(p, '>')]
			return string(p) == fmt.Sprintf("from=<%s> from-again=<%s>.", token, token)
		}},
		{"lengths of random fields in lengths", func(rng *rand.Rand) []byte {
			a, b := random(rng, 1+rng.IntN(30)), random(rng, 1+rng.IntN(30))
			return fmt.Appendf(nil, "\x30%c\x04%c%s\x04%c%s\x05\x00end.", len(a)+len(b)+6, len(a), a, len(b), b)
		}, func(p []byte) bool {
			a := int(p[3])
			return len(p) >= 12 && int(p[1]) == len(p)-6 && 4+a+2 <= len(p) && p[4+a] == 4 && a+int(p[5+a])+12 == len(p) && bytes.HasSuffix(p, []byte("\x05\x00end."))
		}},
	}
}

// TestRelations pins what is found, and that what may be chance is not.
func TestRelations(t *testing.T) {
	type found struct {
		Source, Target string // of the first packet
		Read, Write    model.Form
		Add            int32
	}
	for _, tt := range []struct {
		name    string
		packets int
		packet  func(i int, rng *rand.Rand) string
		want    []found
	}{
		{"a port as text", 30, func(_ int, rng *rand.Rand) string {
			port := 40000 + rng.IntN(9000)
			return fmt.Sprintf("%c%c port %d", port>>8, port&0xff, port)
		}, nil}, // UTF-8: no bytes of a number
		{"twice in decimal", 30, func(_ int, rng *rand.Rand) string {
			port := 40000 + rng.IntN(9000)
			return fmt.Sprintf("from %d, to %d", port, port+1)
		}, []found{{"42537", "42538", model.FormDecimal, model.FormDecimal, 1}}},
		{"in hex and decimal", 30, func(_ int, rng *rand.Rand) string {
			n := rng.Uint32()
			return fmt.Sprintf("%08x is %010d", n, n)
		}, []found{{"482a02e0", "1210712800", model.FormHex, model.FormDecimal, 0}}},
		{"a coin twice, in three packets", 3, func(_ int, rng *rand.Rand) string {
			coin := rng.IntN(2)
			return fmt.Sprintf("from %d, to %d", coin, coin)
		}, nil},
		{"all but one packet", 30, func(i int, rng *rand.Rand) string {
			n := rng.IntN(90000)
			return fmt.Sprintf("from %05d, to %05d", n, n^i/29)
		}, []found{{"2537", "2537", model.FormRaw, model.FormRaw, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 3))
			a := &aligned{}
			for i := range tt.packets {
				p := []byte(tt.packet(i, rng))
				a.packets, a.cuts = append(a.packets, p), append(a.cuts, []int32{0, int32(len(p))})
			}
			a.fixed = []bool{sameLength(a.packets)}
			var got []found
			d := a.derive()
			for part := range d.fixed {
				if r := d.derived[part]; r != nil {
					got = append(got, found{string(d.part(0, r.first)), string(d.part(0, part)), r.source.form, r.target.form, r.add})
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("relations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFirstDigitsOfNumbers: a text whose first letter is not any keeps it so, and the others share their letters.
func TestFirstDigitsOfNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	packets := many(400, func() []byte { return fmt.Appendf(nil, "branch=%08x;", rng.Uint32()>>2) })
	f := mustFit(t, packets)
	for _, p := range mustSample(t, mustTreeModel(t, map[string][][]byte{"x": packets}), "x", 500) {
		if !regexp.MustCompile(`^branch=[0-3][0-9a-f]{7};$`).Match(p) {
			t.Fatalf("packet %q", p)
		}
	}
	trees := map[int32]bool{}
	for _, s := range f.Slots {
		if s.Kind == model.SlotWord {
			trees[s.Root] = true
		}
	}
	if len(trees) != 2 {
		t.Errorf("%d trees for the letters, want one for the first and one for all others", len(trees))
	}
}
