package quality

import (
	"context"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestROCArea(t *testing.T) {
	labels := []bool{true, true, false, false, true} // by row
	tests := []struct {
		name   string
		rows   []int
		scores []float64
		want   float64
	}{
		{"generated above", []int{0, 1, 2, 3}, []float64{3, 4, 1, 2}, 1},
		{"generated below", []int{0, 1, 2, 3}, []float64{1, 2, 3, 4}, 0},
		{"between", []int{0, 1, 2, 3}, []float64{1, 3, 2, 4}, 0.25}, // of 4 comparisons 3 > 2 only
		{"all tied", []int{0, 1, 2, 3}, []float64{7, 7, 7, 7}, 0.5},
		{"one tie", []int{0, 1, 2, 3}, []float64{2, 3, 2, 1}, 0.875}, // 2 = 2 counts half
		{"classes of two sizes", []int{0, 1, 4, 2}, []float64{1, 3, 4, 2}, 2.0 / 3},
		{"one class", []int{0, 1}, []float64{1, 2}, 0.5},
		{"nothing", nil, nil, 0.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := rocArea(tt.scores, labels, tt.rows); math.Abs(got-tt.want) > 1e-12 {
				t.Errorf("rocArea = %v, want %v", got, tt.want)
			}
		})
	}
}

// measureAUC compares packets with real ones that they do not share.
func measureAUC(t *testing.T, generated, heldOut [][]byte, seed uint64) aucResult {
	t.Helper()
	o := Options{Seed: seed, MaxPerClass: defaultMaxPerClass}
	auc, err := twoSampleAUC(context.Background(), o, sample{generated, readAll(generated)}, sample{heldOut, readAll(heldOut)})
	if err != nil {
		t.Fatal(err)
	}
	return auc
}

// TestAUC: two halves of one set cannot be told apart; one wrong dependency is
// told as well as any classifier could.
func TestAUC(t *testing.T) {
	const n = 600
	tests := []struct {
		name   string
		label  string
		change func(i int, p, next []byte)
		want   float64 // the best that any classifier can do
	}{
		{"two halves", "ping", func(int, []byte, []byte) {}, 0.5},
		{"two halves", "dns", func(int, []byte, []byte) {}, 0.5},
		{"two halves", "http", func(int, []byte, []byte) {}, 0.5},
		{"total length is one too high", "ping", func(_ int, p, _ []byte) { p[3]++ }, 1},
		{"total length and UDP length do not agree with the name", "dns", func(_ int, p, next []byte) { p[3], p[25] = p[3]^1, p[25]^1 }, 1},
		{"TTL always 63", "http", func(_ int, p, _ []byte) { p[8] = 63 }, 1},
		// Right and wrong hosts have the same shares; 1 in 8 is right by chance:
		// 1 - (1/8)/2.
		{"host of another server", "http", func(_ int, p, next []byte) { p[19] = next[19] }, 0.9375},
		// A quarter of the sources is never seen at a destination, and so on:
		// each destination has 2 of 4 sources, 1 - (2/4)/2.
		{"source goes by destination", "ping", func(i int, p, _ []byte) { p[15] = 10 + (p[19]+byte(i%2))%4 }, 0.75},
		{"low bit of the IP id is the source's", "dns", func(_ int, p, _ []byte) { p[5] = p[5]&^1 | p[15]&1 }, 0.75},
		{"high bit of the IP id is never set", "http", func(_ int, p, _ []byte) { p[4] &= 0x7f }, 0.75},
	}
	for i, tt := range tests {
		t.Run(tt.label+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			real := traffic(t, tt.label, 2*n, uint64(100+i))
			fresh := real[n:]
			generated := altered(fresh, func(i int, p []byte) { tt.change(i, p, fresh[(i+1)%n]) })
			got := measureAUC(t, generated, real[:n], 1)
			if got.perClass != n {
				t.Errorf("%d packets of each class, want %d", got.perClass, n)
			}
			if math.Abs(got.value-tt.want) > 0.05 {
				t.Errorf("AUC = %.3f, want %.3f +- 0.05", got.value, tt.want)
			}
		})
	}
}

// TestAUCOfLongPackets: 1,300 bytes of noise hide nothing and fake nothing.
func TestAUCOfLongPackets(t *testing.T) {
	const n = 400
	real := longGETs(2*n, 3)
	if got := measureAUC(t, real[n:], real[:n], 1).value; math.Abs(got-0.5) > 0.06 {
		t.Errorf("AUC of two halves = %.3f, want 0.5 +- 0.06", got)
	}
	swapped := altered(real[n:], func(i int, p []byte) { p[19] = real[n+(i+1)%n][19] })
	if got := measureAUC(t, swapped, real[:n], 1).value; math.Abs(got-0.9375) > 0.06 {
		t.Errorf("AUC of hosts of other servers = %.3f, want 0.9375 +- 0.06", got)
	}
}

// TestAUCOfChance: over many pairs of real halves the mean is 0.5, so that no
// label of the other fold leaks into a score.
func TestAUCOfChance(t *testing.T) {
	const n, pairs = 150, 12
	sum := 0.0
	for seed := range uint64(pairs) {
		real := traffic(t, "dns", 2*n, 1000+seed)
		sum += measureAUC(t, real[:n], real[n:], seed).value
	}
	// One AUC of 150 and 150 has a standard deviation of about 0.033.
	if mean := sum / pairs; math.Abs(mean-0.5) > 0.035 {
		t.Errorf("mean AUC of real against real = %.3f, want 0.5 +- 0.035", mean)
	}
}

func TestAUCIsDeterministic(t *testing.T) {
	real := traffic(t, "http", 200, 1)
	first := measureAUC(t, real[:100], real[100:], 7)
	second := measureAUC(t, real[:100], real[100:], 7)
	if first != second {
		t.Errorf("AUC = %v, then %v with the same seed", first, second)
	}
}

func TestAUCOfFewOrEqualPackets(t *testing.T) {
	ping := traffic(t, "ping", 40, 1)
	same := make([][]byte, 20)
	for i := range same {
		same[i] = ping[0]
	}
	tests := []struct {
		name               string
		generated, heldOut [][]byte
		want               aucResult
	}{
		{"nothing", nil, nil, aucResult{0.5, 0}},
		{"nothing generated", nil, ping, aucResult{0.5, 0}},
		{"nine", ping[:9], ping, aucResult{0.5, 0}},
		{"all identical", same, same, aucResult{0.5, 20}},
		{"no bytes", make([][]byte, 10), make([][]byte, 10), aucResult{0.5, 10}},
		{"no bytes against some", make([][]byte, 20), ping[:20], aucResult{1, 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := measureAUC(t, tt.generated, tt.heldOut, 1)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(aucResult{})); diff != "" {
				t.Errorf("AUC (-want +got):\n%s", diff)
			}
		})
	}
}
