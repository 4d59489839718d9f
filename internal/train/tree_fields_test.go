package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
)

// fieldKind is traffic whose packets have a field of one kind, and what must hold of a packet of it.
type fieldKind struct {
	name   string
	packet func(rng *rand.Rand) []byte
	valid  func(packet []byte) bool
}

// fieldKinds are one of each way in which layOut lays packets out and trees depend on each other.
func fieldKinds() []fieldKind {
	token := regexp.MustCompile(`^id=[0-9a-f]{32};$`)
	long := many(5, func() []byte { return nil })
	for i, rng := 0, rand.New(rand.NewPCG(9, 9)); i < len(long); i++ {
		long[i] = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, rng.Uint64()), rng.Uint64())
	}
	return append(relationKinds(), []fieldKind{
		{"a token", func(rng *rand.Rand) []byte {
			return fmt.Appendf(nil, "id=%016x%016x;", rng.Uint64(), rng.Uint64())
		}, token.Match},
		{"a length of two bytes", func(rng *rand.Rand) []byte {
			p := append([]byte("\x45\x00\x00\x00data"), random(rng, 200+rng.IntN(100))...)
			binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			return p
		}, func(p []byte) bool {
			return len(p) >= 208 && len(p) < 308 && int(binary.BigEndian.Uint16(p[2:])) == len(p)
		}},
		{"a byte that says how long a field is", func(rng *rand.Rand) []byte {
			field := random(rng, 3+rng.IntN(4))
			return slices.Concat([]byte("head"), field, []byte("tail"), []byte{byte(16 * len(field))})
		}, func(p []byte) bool {
			return bytes.HasPrefix(p, []byte("head")) && int(p[len(p)-1]) == 16*(len(p)-9)
		}},
		{"a byte that repeats one that may be missing", func(rng *rand.Rand) []byte {
			field := random(rng, 2+rng.IntN(2))
			return slices.Concat([]byte("head"), field, []byte("tail"), []byte{thirdDigit(field)})
		}, func(p []byte) bool { return p[len(p)-1] == thirdDigit(p[4:len(p)-5]) }},
		{"lengths in lengths", func(rng *rand.Rand) []byte {
			user, number := []string{"public", "monitoring", "x"}[rng.IntN(3)], random(rng, 3+rng.IntN(2))
			p := fmt.Appendf(nil, "0\x00\x02\x01\x01\x04%c%s\xa0%c\x02%c%s\x02\x01\x00\x05\x00", len(user), user, len(number)+7, len(number), number)
			p[1] = byte(len(p) - 2)
			return p
		}, func(p []byte) bool {
			user := int(p[6])
			pdu := p[7+user:]
			return int(p[1]) == len(p)-2 && pdu[0] == 0xa0 && int(pdu[1]) == len(pdu)-2 && int(pdu[3]) == len(pdu)-9 &&
				bytes.HasSuffix(p, []byte("\x02\x01\x00\x05\x00"))
		}},
		{"a count of what many words make", func(rng *rand.Rand) []byte {
			list := fmt.Sprintf("id %c%s: ", 'a'+rng.IntN(3), strings.Repeat("z", rng.IntN(2)))
			for range 1 + rng.IntN(3) {
				list += "/" + []string{"sys", "descr", "uptime", "contact", "if", "ip", "tcp"}[rng.IntN(7)]
			}
			return []byte(fmt.Sprintf("body%c%s", len(list), list))
		}, func(p []byte) bool { return int(p[4]) == len(p)-5 }},
		{"a long word", func(rng *rand.Rand) []byte {
			return slices.Concat([]byte("key="), long[rng.IntN(len(long))], random(rng, 1))
		}, func(p []byte) bool {
			return len(p) == 21 && slices.ContainsFunc(long, func(w []byte) bool { return bytes.Equal(w, p[4:20]) })
		}},
		{"two shapes", func(rng *rand.Rand) []byte {
			if rng.IntN(2) == 0 {
				return []byte("GET " + strings.Repeat("/a", 1+rng.IntN(4)) + " HTTP/1.1")
			}
			return append([]byte("something else: "), byte(rng.IntN(3)))
		}, func(p []byte) bool {
			return regexp.MustCompile(`^(GET (/a){1,4} HTTP/1.1|something else: [\x00-\x02])$`).Match(p)
		}},
	}...)
}

// thirdDigit is the high digit of a field's third byte, or 255 where it has none.
func thirdDigit(field []byte) byte {
	if len(field) < 3 {
		return 255
	}
	return field[2] >> 4
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func (k fieldKind) packets(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 7))
	return many(n, func() []byte { return k.packet(rng) })
}

// TestTreesKeepFieldsWhole: what holds of every packet of training holds of every packet drawn, from the trees alone and
// through an untrained network, which may choose among what the trees allow and nothing else; and most are new.
func TestTreesKeepFieldsWhole(t *testing.T) {
	for _, kind := range fieldKinds() {
		t.Run(kind.name, func(t *testing.T) {
			packets := kind.packets(800)
			tree := mustTreeModel(t, map[string][][]byte{"x": packets})
			for _, m := range []*model.Model{tree, mustUntrained(t, tree)} {
				for _, p := range mustSample(t, m, "x", 1000) {
					if !kind.valid(p) {
						t.Fatalf("recipe %s: packet %q", m.Recipe, p)
					}
				}
			}
		})
	}
}

// TestFieldsDoNotDependOnOrderOrThreads holds for each kind of field.
func TestFieldsDoNotDependOnOrderOrThreads(t *testing.T) {
	for _, kind := range fieldKinds() {
		t.Run(kind.name, func(t *testing.T) {
			packets := kind.packets(300)
			want := mustFit(t, packets)
			slices.Reverse(packets)
			for _, threads := range []int{1, 3} {
				got, err := FitTrees(context.Background(), packets, threads)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%d threads (-want +got):\n%s", threads, diff)
				}
			}
		})
	}
}

func TestDrawingFieldsDoesNotAllocate(t *testing.T) {
	for _, kind := range fieldKinds() {
		tree := mustTreeModel(t, map[string][][]byte{"x": kind.packets(300)})
		for _, m := range []*model.Model{tree, mustUntrained(t, tree)} {
			s, err := m.NewSampler("x", 1)
			if err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 0, 512)
			if n := testing.AllocsPerRun(100, func() { buffer, err = s.Next(buffer[:0]) }); n != 0 || err != nil {
				t.Errorf("%s, recipe %s: %v allocations a packet, error %v", kind.name, m.Recipe, n, err)
			}
		}
	}
}

// TestRareValueIsKept: a value that the packets which splits are chosen by do not show is drawn as often as it was there.
func TestRareValueIsKept(t *testing.T) {
	target, feature := make([]uint16, 3*splitSample), make([]uint16, 3*splitSample)
	for r := range feature {
		feature[r] = uint16(r % 2)
	}
	target[1] = 1 // evenly takes every third
	got := mustGrow(t, target, [][]uint16{feature})
	want := tree{split: []int32{model.Leaf}, kids: make([][]kid, 1), first: []int32{0}, value: []uint16{0, 1}, count: []uint32{3*splitSample - 1, 1}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tree{}, kid{})); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

// TestSparseSplitIsTheSame: pairs that are sorted give what pairs in a table give.
func TestSparseSplitIsTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	const values, packets = 40, 500
	v, target := variable{arity: values}, make([]uint16, packets)
	number, rows := make([]uint16, values), make([]int32, packets)
	for i := range number {
		number[i] = uint16(i)
	}
	for r := range target {
		v.codes = append(v.codes, uint16(rng.IntN(values)))
		target[r], rows[r] = (v.codes[r]+uint16(rng.IntN(3)))%values, int32(r)
	}
	s, c := newScorer(), newPairCounter()
	s.reset(values, packets)
	sum, children := c.split(&s, number, target, &v, rows, values)
	sparse, sparseChildren := c.splitSparse(&s, number, target, &v, rows)
	if d := sum - sparse; d > 1e-9 || d < -1e-9 || children != sparseChildren {
		t.Errorf("%v with %d children in a table, %v with %d sorted", sum, children, sparse, sparseChildren)
	}
}
