package train

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"pacgan-appliance/internal/model"
)

// option is a type of entry of which a list has none or one.
func option(rng *rand.Rand, typ int) []byte {
	switch typ {
	case 1:
		return fmt.Appendf(nil, "%s%d", []string{"anna", "bert", "carla"}[rng.IntN(3)], rng.IntN(300))
	case 2:
		return random(rng, 4)
	case 3:
		return random(rng, 16)
	case 4:
		return nil
	}
	return []byte{10, 0, 0, byte(rng.IntN(9))}
}

// TestLists: lists of any number of entries are found, however entries say how long they are, and drawn whole: each
// packet is a list of entries that are as training has them.
func TestLists(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame model.Frame
		entry func(typ int, value []byte) []byte
		end   string
	}{
		{
			"type, length", model.Frame{Form: model.FrameBinary, Head: 2, At: 1, Size: 1, Align: 1},
			func(typ int, v []byte) []byte { return append([]byte{byte(typ), byte(len(v))}, v...) }, "",
		},
		{
			"a length of all, an end", model.Frame{Form: model.FrameBinary, Head: 2, At: 1, Size: 1, Counts: 2, Align: 1, End: model.EndOnes},
			func(typ int, v []byte) []byte { return append([]byte{byte(typ), byte(2 + len(v))}, v...) }, "\xff",
		},
		{
			"two bytes each, filled up", model.Frame{Form: model.FrameBinary, Head: 4, At: 2, Size: 2, Align: 4},
			func(typ int, v []byte) []byte {
				e := binary.BigEndian.AppendUint16([]byte{0, byte(typ)}, uint16(len(v)))
				return append(append(e, v...), make([]byte, (4-len(v)%4)%4)...)
			}, "",
		},
		{
			"digits", model.Frame{Form: model.FrameDecimal, Head: 1},
			func(typ int, v []byte) []byte { return fmt.Appendf(nil, "%c%d\r\n%s\r\n", 'a'+typ, len(v), v) }, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(8, 8))
			packets := many(400, func() []byte {
				p := append([]byte("head"), random(rng, 4)...)
				for typ := 1; typ <= 5; typ++ {
					if typ == 5 || rng.IntN(2) == 0 {
						p = append(p, tt.entry(typ, option(rng, typ))...)
					}
				}
				return append(p, tt.end...)
			})
			tree := mustTreeModel(t, map[string][][]byte{"x": packets})
			wrong, seen := 0, map[string]bool{}
			for _, p := range mustSample(t, tree, "x", 1000) {
				if _, _, rest, ok := tt.frame.Entries(p[8:]); !ok || !bytes.HasPrefix(p, []byte("head")) || len(rest) > 0 || !bytes.HasSuffix(p, []byte(tt.end)) {
					t.Fatalf("no list: %q", p)
				}
				// All packets of training have the last type.
				if !bytes.Contains(p, []byte{10, 0, 0}) {
					wrong++
				}
				seen[string(p)] = true
			}
			if len(seen) < 990 || wrong > 10 {
				t.Errorf("%d different of 1,000, %d without the entry that all have", len(seen), wrong)
			}
		})
	}
}
