package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/model"
)

// logLine is a line of one of five kinds, and nothing of it but its head has a fixed place: behind the host, all shifts.
func logLine(rng *rand.Rand) []byte {
	users := []string{"ann", "robert", "eve", "mallory"}
	user := func() string { return users[rng.IntN(len(users))] }
	text := fmt.Sprintf("<%d>host%d ", []int{13, 30, 165}[rng.IntN(3)], rng.IntN(12))
	id := 300 + rng.IntN(30000)
	switch rng.IntN(5) {
	case 0:
		text += fmt.Sprintf("sshd[%d]: Accepted key for %s from 10.9.%d.%d port %d", id, user(), rng.IntN(256), rng.IntN(256), 1024+rng.IntN(60000))
	case 1:
		text += fmt.Sprintf("cron[%d]: (%s) CMD (run-parts /etc/cron.hourly)", id, user())
	case 2:
		text += fmt.Sprintf("su[%d]: %s : PWD=/home/%s ; USER=root", id, user(), user())
	case 3:
		text += fmt.Sprintf("kernel[%d]: [%d.%06d] eth0: link up, %d Mbps", id, rng.IntN(100000), rng.IntN(1000000), []int{100, 1000}[rng.IntN(2)])
	default:
		text += fmt.Sprintf("login[%d]: session %016x%016x of %s.", id, rng.Uint64(), rng.Uint64(), user())
	}
	return []byte(text)
}

var (
	logLines = regexp.MustCompile(`^<(13|30|165)>host(\d|1[01]) (` +
		`sshd\[\d{3,5}\]: Accepted key for (ann|robert|eve|mallory) from 10\.9\.\d{1,3}\.\d{1,3} port \d{4,5}|` +
		`cron\[\d{3,5}\]: \((ann|robert|eve|mallory)\) CMD \(run-parts /etc/cron\.hourly\)|` +
		`su\[\d{3,5}\]: (ann|robert|eve|mallory) : PWD=/home/(ann|robert|eve|mallory) ; USER=root|` +
		`kernel\[\d{3,5}\]: \[\d{1,5}\.\d{6}\] eth0: link up, 1000? Mbps|` +
		`login\[\d{3,5}\]: session [0-9a-f]{32} of (ann|robert|eve|mallory)\.)$`)
	sessions = regexp.MustCompile(`[0-9a-f]{32}`)
)

// TestChainsKeepMessagesWhole: messages of several kinds, in which all shifts behind a number, are drawn whole, of all
// kinds, and new; and none repeats a secret token.
func TestChainsKeepMessagesWhole(t *testing.T) {
	skipInShort(t)
	rng := rand.New(rand.NewPCG(3, 3))
	packets := many(1200, func() []byte { return logLine(rng) })
	seen, secret := map[string]bool{}, map[string]bool{}
	for _, p := range packets {
		seen[string(p)] = true
		secret[string(sessions.Find(p))] = true
	}
	tree := mustTreeModel(t, map[string][][]byte{"x": packets})
	if !slices.ContainsFunc(tree.Forests[0].Slots, func(s model.Slot) bool { return s.Kind == model.SlotChain }) {
		t.Fatal("no chain in the layout")
	}
	for _, m := range []*model.Model{tree, mustUntrained(t, tree)} {
		valid, kept, kinds, tokens, repeated := 0, 0, map[string]int{}, 0, 0
		bad := ""
		const drawn = 2000
		for _, p := range mustSample(t, m, "x", drawn) {
			if !logLines.Match(p) {
				bad = string(p)
				continue
			}
			valid++
			_, line, _ := bytes.Cut(p, []byte(" "))
			program, _, _ := bytes.Cut(line, []byte("["))
			kinds[string(program)]++
			if seen[string(p)] {
				kept++
			}
			if token := sessions.Find(p); token != nil {
				tokens++
				if secret[string(token)] {
					repeated++
				}
			}
		}
		t.Logf("recipe %s: %d of %d valid (not %q), %d of them as in training, kinds %v, %d of %d tokens repeated", m.Recipe, valid, drawn, bad, kept, kinds, repeated, tokens)
		if valid < drawn*95/100 || kept > drawn/50 || len(kinds) != 5 {
			t.Errorf("recipe %s: %d of %d valid, want 95 %%; %d as in training, want at most 2 %%; %d kinds of 5", m.Recipe, valid, drawn, kept, len(kinds))
		}
		if tokens < drawn/10 || repeated > 0 {
			t.Errorf("recipe %s: %d tokens, %d of them another packet's", m.Recipe, tokens, repeated)
		}
	}
}

func TestChainsDoNotDependOnOrderOrThreads(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	packets := many(400, func() []byte { return logLine(rng) })
	want := mustFit(t, packets)
	slices.Reverse(packets)
	got, err := FitTrees(context.Background(), packets, 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("forest (-want +got):\n%s", diff)
	}
}

func TestDrawingChainsDoesNotAllocate(t *testing.T) {
	skipInShort(t)
	rng := rand.New(rand.NewPCG(5, 5))
	tree := mustTreeModel(t, map[string][][]byte{"x": many(400, func() []byte { return logLine(rng) })})
	for _, m := range []*model.Model{tree, mustUntrained(t, tree)} {
		s, err := m.NewSampler("x", 1)
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 0, 512)
		if n := testing.AllocsPerRun(200, func() { buffer, err = s.Next(buffer[:0]) }); n != 0 || err != nil {
			t.Errorf("recipe %s: %v allocations a packet, error %v", m.Recipe, n, err)
		}
	}
}

// TestOpen: what repeats is a word, however many there are; what goes on to be new is not.
func TestOpen(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, tt := range []struct {
		name string
		row  func() string
		want bool
	}{
		{"a few names", func() string { return fmt.Sprintf("name%d", rng.IntN(5)) }, false},
		{"many names, of which most were seen", func() string { return fmt.Sprintf("name%d", rng.IntN(200)) }, false},
		{"names, and one of hundred is new", func() string {
			if rng.IntN(100) > 0 {
				return "name"
			}
			return fmt.Sprintf("%x", rng.Uint64())
		}, false},
		{"new ones", func() string { return fmt.Sprintf("%016x", rng.Uint64()) }, true},
		{"a name, or a new one", func() string {
			if rng.IntN(3) > 0 {
				return "name"
			}
			return fmt.Sprintf("%x", rng.Uint64())
		}, true},
		{"binary ones", func() string { return string(random(rng, 16)) }, false},
		{"short ones", func() string { return fmt.Sprintf("%d", rng.IntN(1000)) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := open(many(400, func() []byte { return []byte(tt.row()) })); got != tt.want {
				t.Errorf("open %t, want %t", got, tt.want)
			}
		})
	}
}

// TestBeginnings: a chain knows names that several rows have, with all that they begin with, and no numbers.
func TestBeginnings(t *testing.T) {
	var rows [][]byte
	for i := range 4 {
		rows = append(rows, fmt.Appendf(nil, "abc.7 n%d abd-abd", i))
	}
	var got []string
	for _, w := range beginnings(append(rows, []byte("xyz xyz xyz xyz"))) {
		got = append(got, string(w))
	}
	if diff := cmp.Diff([]string{"a", "ab", "abc", "abd"}, got); diff != "" {
		t.Errorf("beginnings (-want +got):\n%s", diff)
	}
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		name  string
		least uint32
		only  int32
		upTo  bool
		want  []section
		first []uint32 // where each code's rows go
	}{
		{"each", 0, each, false, []section{{0, 0, 3}, {2, 3, 4}, {3, 4, 6}, {4, 6, 7}}, []uint32{0, 0, 3, 4, 6}},
		{"each that two have", 2, each, false, []section{{0, 0, 3}, {3, 3, 5}, {model.Other, 5, 7}}, []uint32{0, 0, 5, 3, 6}},
		{"one", 2, 2, false, []section{{2, 0, 1}, {model.Other, 1, 7}}, []uint32{1, 0, 0, 4, 6}},
		{"up to one", 2, 2, true, []section{{2, 0, 4}, {model.Other, 4, 7}}, []uint32{0, 0, 3, 4, 6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hist := []uint32{3, 0, 1, 2, 1}
			got := place(hist, tt.least, tt.only, tt.upTo)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(section{})); diff != "" {
				t.Errorf("sections (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.first, hist); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChainSplits compares the gains of a variable's splits with the likelihoods of their children, counted one by one.
func TestChainSplits(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 8))
		n := 20 + rng.IntN(200)
		var codes, target []uint16
		var rows []int32
		for r := range n {
			codes, rows = append(codes, uint16(rng.IntN(2+int(seed)))), append(rows, int32(r))
			target = append(target, (codes[r]+uint16(rng.IntN(2)))%5)
		}
		for _, ordinal := range []bool{false, true} {
			g := newGrower([]variable{{codes: codes, arity: 16, ordinal: ordinal}, {codes: target, arity: 5}}, n)
			g.groups, g.least, g.target = newGroupCounter(2, 16), 2, &g.vars[1]
			k, counts := g.renumber(rows)
			g.score.reset(k, n)
			for _, w := range g.groups.split(nil, g, 0, rows, counts, -7) {
				hist := make([]uint32, 16)
				for _, c := range codes {
					hist[c]++
				}
				want := 7.0
				order := slices.Clone(rows)
				for _, part := range g.partition(order, &g.vars[0], w.only) {
					var in []int
					for _, r := range order[part.lo:part.hi] {
						in = append(in, int(r))
					}
					want += defineLikelihood(countTargets(target, in), k)
				}
				if w.only != each {
					choices := 0
					for _, n := range hist {
						if ordinal && n > 0 || n >= g.least {
							choices++
						}
					}
					if ordinal { // the last has none above it
						choices--
					}
					want -= math.Log(float64(choices))
				}
				if math.Abs(w.gain-want) > 1e-9*math.Abs(want) {
					t.Errorf("seed %d, ordinal %t, only %d: gain %v, want %v", seed, ordinal, w.only, w.gain, want)
				}
			}
		}
	}
}
