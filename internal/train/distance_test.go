package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJensenShannon(t *testing.T) {
	tests := []struct {
		name string
		a, b []float64
		want float64
	}{
		{"equal", []float64{1, 3}, []float64{2, 6}, 0},
		{"disjoint", []float64{1, 0}, []float64{0, 5}, 1},
		{"lengths differ", []float64{1}, []float64{0, 0, 1}, 1},
		{"empty", nil, []float64{1}, 1},
		// p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): 1/2 log2(4/3) + 1/4 log2(2/3) + 1/4 log2(2)
		{"half", []float64{2, 0}, []float64{1, 1}, math.Sqrt(math.Log2(4.0/3)/2 + math.Log2(2.0/3)/4 + 0.25)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []float64{jensenShannon(tt.a, tt.b), jensenShannon(tt.b, tt.a)} {
				if math.Abs(got-tt.want) > 1e-9 {
					t.Errorf("distance %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestFeaturesAreWhatVaries(t *testing.T) {
	packets := [][]byte{{0x12, 0x34}, {0x13, 0x34}, {0x12, 0x34, 0x50}}
	var got []feature
	for _, f := range featuresOf(packets, rand.New(rand.NewPCG(1, 1))) {
		if f.i == f.j {
			got = append(got, f)
		}
	}
	want := []feature{{length, length}, {1, 1}, {4, 4}, {5, 5}}
	if diff := cmp.Diff(want, got[:len(want)], cmp.AllowUnexported(feature{})); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
}

// TestDistanceSeesWhatIsWrong: each fault must cost more than sampling does.
func TestDistanceSeesWhatIsWrong(t *testing.T) {
	real := lanData(1, 800)
	other := lanData(2, 400)
	rng := rand.New(rand.NewPCG(1, 1))
	for label, set := range real {
		j := newJudge([][][]byte{set.Packets[:400]}, 1)
		floor := j.distance(0, set.Packets[400:])
		faults := map[string][][]byte{
			"digits drawn apart": shuffledBytes(rng, set.Packets[400:]),
			"another label":      other[(label+1)%len(other)].Packets,
			"one packet":         {set.Packets[400]},
		}
		for fault, packets := range faults {
			if d := j.distance(0, packets); d < 1.1*floor {
				t.Errorf("%s: %s: distance %.4f, floor %.4f", set.Label, fault, d, floor)
			}
		}
	}
}

// shuffledBytes keeps each byte's distribution and loses how bytes go together.
func shuffledBytes(rng *rand.Rand, packets [][]byte) [][]byte {
	out := make([][]byte, len(packets))
	for i, p := range packets {
		out[i] = append([]byte(nil), p...)
		for b := range p {
			if q := packets[rng.IntN(len(packets))]; b < len(q) {
				out[i][b] = q[b]
			}
		}
	}
	return out
}

func TestSplit(t *testing.T) {
	data := lanData(1, 50)
	s, err := newSplit(data, 3)
	if err != nil {
		t.Fatal(err)
	}
	for label, set := range data {
		seen := map[*byte]int{}
		for _, p := range append(append([][]byte{}, s.train[label]...), s.validate[label]...) {
			seen[&p[0]]++
		}
		if len(seen) != len(set.Packets) || len(s.validate[label]) != len(set.Packets)/validateShare {
			t.Errorf("%s: %d packets, %d of them to validate", set.Label, len(seen), len(s.validate[label]))
		}
	}
	again, err := newSplit(data, 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.validate, again.validate); diff != "" {
		t.Errorf("the same seed splits otherwise (-want +got):\n%s", diff)
	}
}
