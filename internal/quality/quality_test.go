package quality

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

func mustMeasure(tb testing.TB, generated, train, heldOut [][]byte) Report {
	tb.Helper()
	r, err := Measure(context.Background(), Options{Seed: 1}, generated, train, heldOut)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// TestMeasure has four packets whose every measure can be counted by hand.
func TestMeasure(t *testing.T) {
	ping := func(server int, id uint16) []byte {
		return ipv4(packet.ProtoICMP, addr(1, 1), addr(2, server), id, []byte{8, 0, 0, 0, 0, 1, 0, 1})
	}
	train := [][]byte{ping(1, 1), ping(2, 2)}
	heldOut := [][]byte{ping(1, 3), ping(3, 3)}
	generated := [][]byte{ping(1, 1), ping(1, 7), ping(9, 7), ping(9, 7)[:27]}
	r := mustMeasure(t, generated, train, heldOut)

	want := Report{
		ByteError:           0.75, // 0, 0, 1 (address), 1 (address) + 1 (cut)
		ByteErrorReal:       0.5,  // 0, 1 (address)
		Novelty:             0.75,
		TemplateNovelty:     0.5,
		TemplateNoveltyReal: 0.5,
		Coverage:            0.5,
		AUC:                 0.5,
		N: Counts{
			Generated: 4, Train: 2, HeldOut: 2, Unparsable: 1, ByteErrors: 3, ByteErrorsReal: 1, Novel: 3, NovelTemplates: 2,
			NovelTemplatesReal: 1, Covered: 1, TrainKeys: 2,
		},
	}
	fields := cmp.FilterValues(func(_, _ FieldDistances) bool { return true }, cmp.Ignore())
	if diff := cmp.Diff(want, r, fields); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	// ttl: three of four as the real ones, one unparsable; p = (3/4, 1/4), q = (1, 0).
	ttl := (0.75*math.Log2(0.75/0.875) + 0.25*math.Log2(2) + math.Log2(1/0.875)) / 2
	if got := r.FieldDivergence.Fields["ttl"]; math.Abs(got-ttl) > 1e-12 {
		t.Errorf("divergence of ttl = %v, want %v", got, ttl)
	}
	if got := r.FieldJSD.Fields["ttl"]; math.Abs(got-math.Sqrt(ttl)) > 1e-12 {
		t.Errorf("distance of ttl = %v, want %v", got, math.Sqrt(ttl))
	}
	names := make([]string, 0, len(r.FieldJSD.Fields))
	for name := range r.FieldJSD.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"dst", "icmp_id", "icmp_seq", "id", "length", "src", "ttl"}, names); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// TestMeasureRealAgainstReal: fresh packets of the same source pass for
// held-out ones in every measure.
func TestMeasureRealAgainstReal(t *testing.T) {
	for _, label := range []string{"ping", "dns", "http"} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			real := traffic(t, label, 3500, 5)
			r := mustMeasure(t, real[:1500], real[1500:2800], real[2800:])
			if r.Novelty != 1 || r.Duplicates != 0 || r.Coverage < 0.95 || r.N.Unparsable != 0 {
				t.Errorf("novelty %v, duplicates %v, coverage %v, %d unparsable", r.Novelty, r.Duplicates, r.Coverage, r.N.Unparsable)
			}
			if d := r.TemplateNovelty - r.TemplateNoveltyReal; math.Abs(d) > 0.05 {
				t.Errorf("template novelty %v, real %v", r.TemplateNovelty, r.TemplateNoveltyReal)
			}
			if d := r.FieldJSD.Mean - r.FieldJSDFloor.Mean; math.Abs(d) > 0.015 {
				t.Errorf("field distance %v, floor %v", r.FieldJSD.Mean, r.FieldJSDFloor.Mean)
			}
			if math.Abs(r.AUC-0.5) > 0.06 {
				t.Errorf("AUC = %v, want 0.5 +- 0.06", r.AUC)
			}
		})
	}
}

func TestMeasureIsDefinedEverywhere(t *testing.T) {
	ping := traffic(t, "ping", 30, 1)
	same := [][]byte{ping[0], ping[0], ping[0], ping[0], ping[0], ping[0], ping[0], ping[0], ping[0], ping[0]}
	garbage := [][]byte{nil, {}, {0x45}, make([]byte, 2000), {0xff, 0xff}}
	sets := map[string][][]byte{"nothing": nil, "one": ping[:1], "same": same, "some": ping, "garbage": garbage}
	for gen, generated := range sets {
		for tr, train := range sets {
			for held, heldOut := range sets {
				r := mustMeasure(t, generated, train, heldOut)
				if _, err := json.Marshal(r); err != nil {
					t.Errorf("%s, %s, %s: %v", gen, tr, held, err)
				}
			}
		}
	}
	want := Report{AUC: 0.5}
	for _, d := range []*FieldDistances{&want.FieldJSD, &want.FieldJSDFloor, &want.FieldDivergence, &want.FieldDivergenceFloor} {
		d.Fields = map[string]float64{}
	}
	if diff := cmp.Diff(want, mustMeasure(t, nil, nil, nil)); diff != "" {
		t.Errorf("report of nothing (-want +got):\n%s", diff)
	}
}

func TestMeasureKeepsItsInput(t *testing.T) {
	real := traffic(t, "dns", 60, 1)
	before := altered(real, func(int, []byte) {})
	mustMeasure(t, real[:20], real[20:40], real[40:])
	if diff := cmp.Diff(before, real); diff != "" {
		t.Errorf("packets (-before +after):\n%s", diff)
	}
}

func TestMeasureIsDeterministic(t *testing.T) {
	real := traffic(t, "http", 300, 1)
	first := mustMeasure(t, real[:100], real[100:200], real[200:])
	if diff := cmp.Diff(first, mustMeasure(t, real[:100], real[100:200], real[200:])); diff != "" {
		t.Errorf("second report (-first +second):\n%s", diff)
	}
}

func TestReportJSON(t *testing.T) {
	success := 0.5
	fields := func(mean float64) FieldDistances {
		return FieldDistances{mean, map[string]float64{"src": mean}}
	}
	r := Report{
		ByteError: 1.5, AUC: 0.5, Step0Success: &success,
		FieldJSD: fields(0.25), FieldJSDFloor: fields(0.125), FieldDivergence: fields(0.0625), FieldDivergenceFloor: fields(0.03125),
	}
	const want = `{"byte_error":1.5,"byte_error_real":0,"novelty":0,"template_novelty":0,"template_novelty_real":0,"coverage":0,"duplicates":0,` +
		`"field_jsd":{"mean":0.25,"src":0.25},"field_jsd_floor":{"mean":0.125,"src":0.125},` +
		`"field_jsdiv":{"mean":0.0625,"src":0.0625},"field_jsdiv_floor":{"mean":0.03125,"src":0.03125},` +
		`"auc":0.5,"step0_success":0.5,` +
		`"n":{"generated":0,"train":0,"held_out":0,"unparsable":0,"byte_errors":0,"byte_errors_real":0,"novel":0,"novel_templates":0,` +
		`"novel_templates_real":0,"covered":0,"train_keys":0,"duplicates":0,"auc_per_class":0}}`
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	var back Report
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"field_jsd":[1]}`), &back); err == nil {
		t.Error("a list is no field_jsd, but was read")
	}
}

func TestMeasureErrors(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		o    Options
		want string
	}{
		{"cancelled", ended, Options{}, "quality of 2 generated packets: context canceled"},
		{"negative bound", context.Background(), Options{MaxPerClass: -1}, "quality: MaxPerClass -1: give 0 for the default or a positive number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Measure(tt.ctx, tt.o, make([][]byte, 2), nil, nil)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// endsAfter is a context that ends when it has been asked n times.
type endsAfter struct {
	context.Context
	n int
}

func (c *endsAfter) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestMeasureStopsAnywhere: wherever the context ends, the error is its own.
func TestMeasureStopsAnywhere(t *testing.T) {
	real := traffic(t, "ping", 30, 1)
	asked := &endsAfter{context.Background(), math.MaxInt}
	if _, err := Measure(asked, Options{}, real[:10], real[10:20], real[20:]); err != nil {
		t.Fatal(err)
	}
	times := math.MaxInt - asked.n
	for n := range times {
		_, err := Measure(&endsAfter{context.Background(), n}, Options{}, real[:10], real[10:20], real[20:])
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended at %d of %d: error %v, want context canceled", n, times, err)
		}
	}
}

// FuzzMeasure: whatever was generated, the report is defined and within its bounds.
func FuzzMeasure(f *testing.F) {
	real := traffic(f, "dns", 30, 1)
	f.Add(real[0])             // well-formed
	f.Add(real[0][:33])        // cut in the DNS message
	f.Add(mustHex(f, pingHex)) // of another label
	f.Add([]byte{})            // nothing
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		r := mustMeasure(t, [][]byte{b}, real[:20], real[20:])
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if r.N.ByteErrors < 0 || r.N.ByteErrors > max(len(b), 200) {
			t.Errorf("%d byte errors of %d bytes", r.N.ByteErrors, len(b))
		}
		for name, d := range r.FieldJSD.Fields {
			if d < 0 || d > 1 {
				t.Errorf("distance of %s = %v", name, d)
			}
		}
	})
}
