package train

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
)

var commands = regexp.MustCompile(`^head(OPEN [a-z]+\d{1,2}|MOVE \d{1,3},\d{1,3}|FILE [a-z]+_\d{1,3}\.(txt|csv)|LIST /[a-z]+/[a-z]+|STAY)\r\n$`)

// command is a request of a protocol of five commands, of which each has fields of its own.
func command(rng *rand.Rand) []byte {
	names := []string{"anna", "bert", "carla", "dora", "emil", "frank", "gustav", "hanna", "ida", "jan"}
	name := func() string { return names[rng.IntN(len(names))] }
	switch rng.IntN(5) {
	case 0:
		return fmt.Appendf(nil, "headOPEN %s%d\r\n", name(), rng.IntN(40))
	case 1:
		return fmt.Appendf(nil, "headMOVE %d,%d\r\n", rng.IntN(1000), rng.IntN(1000))
	case 2:
		return fmt.Appendf(nil, "headFILE %s_%d.%s\r\n", name(), rng.IntN(1000), []string{"txt", "csv"}[rng.IntN(2)])
	case 3:
		return fmt.Appendf(nil, "headLIST /%s/%s\r\n", name(), name())
	}
	return []byte("headSTAY\r\n")
}

// TestKindsAreToldApart: each command keeps its own fields, although what all have in common cuts none.
func TestKindsAreToldApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	tree := mustTreeModel(t, map[string][][]byte{"x": many(400, func() []byte { return command(rng) })})
	if n := len(tree.Forests[0].Shapes); n < 5 {
		t.Errorf("%d shapes of 5 commands", n)
	}
	const drawn = 1000
	valid, bad, seen := 0, "", map[string]bool{}
	for _, p := range mustSample(t, tree, "x", drawn) {
		if !commands.Match(p) {
			bad = string(p)
			continue
		}
		valid++
		seen[string(p[4:8])] = true
	}
	if valid < drawn*97/100 || len(seen) != 5 {
		t.Errorf("%d of %d valid (not %q), of %d commands", valid, drawn, bad, len(seen))
	}
}

// counting are the bytes that ping fills its packets up with.
var counting = func() []byte {
	b := make([]byte, byteValues)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

// TestOneKindStaysOne: what varies without being of several kinds is not divided. Packets too short for what most have in
// common may be laid out apart.
func TestOneKindStaysOne(t *testing.T) {
	for name, packet := range map[string]func(rng *rand.Rand) []byte{
		"random":  func(rng *rand.Rand) []byte { return append([]byte("head"), random(rng, 4+rng.IntN(20))...) },
		"numbers": func(rng *rand.Rand) []byte { return fmt.Appendf(nil, "head=%d;tail", rng.IntN(1<<30)) },
		"padded": func(rng *rand.Rand) []byte {
			return append(append([]byte("head"), random(rng, 8)...), counting[:20+rng.IntN(200)]...)
		},
		"sums": func(rng *rand.Rand) []byte { return fmt.Appendf(nil, "head %d of %x", rng.IntN(9999), rng.Uint64()) },
	} {
		for seed := range uint64(5) {
			rng := rand.New(rand.NewPCG(seed, 6))
			packets := many(400, func() []byte { return packet(rng) })
			slices.SortFunc(packets, bytes.Compare)
			a, _ := alignMost(packets)
			if a == nil {
				a, _ = cut(packets, nil)
			}
			if kinds := a.kinds(); kinds != nil {
				t.Errorf("%s, seed %d: %d kinds", name, seed, len(kinds))
			}
		}
	}
}

// TestLengthsThatCountThemselves: a field whose length counts its type and itself is found, as others are.
func TestLengthsThatCountThemselves(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	packets := many(400, func() []byte {
		user := random(rng, 3+rng.IntN(9))
		p := append([]byte{1, byte(2 + len(user))}, user...)
		return append(append([]byte("head"), p...), append([]byte{2, 6}, random(rng, 4)...)...)
	})
	tree := mustTreeModel(t, map[string][][]byte{"x": packets})
	for _, p := range mustSample(t, tree, "x", 1000) {
		if end := 4 + int(p[5]); end+6 != len(p) || p[end] != 2 || p[end+1] != 6 {
			t.Fatalf("packet %q: its first length is %d", p, p[5])
		}
	}
}
