package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/model"
)

// decoderCase is a decoder of a few labels' trees, with random logits and theta.
type decoderCase struct {
	*decoder
	logits, theta *tensor.Dense
}

func newDecoderCase(t *testing.T, batch int) decoderCase {
	t.Helper()
	s, err := newSplit(lanData(1, 60), 1)
	if err != nil {
		t.Fatal(err)
	}
	forests, err := fitForests(t.Context(), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	d := newDecoder(forests, s.geometry, model.PriorUniform, batch)
	for b := range d.labels {
		d.labels[b] = b % len(forests)
	}
	d.seed = 42
	return decoderCase{d, normal(rng, batch, d.capacity*digitValues, 0.5), normal(rng, d.thetas, 1, 0.05)}
}

// TestDecodeWritesWhatItDrew reads the matrices back as packets, which are the labels' own: with the prior alone, the
// header that every packet has.
func TestDecodeWritesWhatItDrew(t *testing.T) {
	d := newDecoderCase(t, 30)
	var y *gorgonia.Node
	g, err := newGraph(1, func(g *graph) { y = d.decode(g, g.input("logits", d.logits), g.input("theta", d.theta)) })
	if err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, g, y)
	protocols := []byte{1, 17, 6} // of ping, dns and http
	for b, label := range d.labels {
		packet := d.read(t, out, b)
		if diff := cmp.Diff(d.drawn[b].bytes, packet); diff != "" {
			t.Errorf("packet %d (-drawn +matrix):\n%s", b, diff)
		}
		if packet[0] != 0x45 || packet[9] != protocols[label] {
			t.Errorf("packet %d of label %d: %x", b, label, packet)
		}
		if len(d.drawn[b].choices) == 0 {
			t.Errorf("packet %d: nothing was chosen", b)
		}
	}
}

// read returns packet b as its matrix has it, as long as its total length says.
func (d decoderCase) read(t *testing.T, out []float32, b int) []byte {
	t.Helper()
	elements := d.geometry.Elements()
	m := append([]float32(nil), out[b*elements:(b+1)*elements]...)
	for i, v := range m {
		m[i] = d.geometry.FromUnit(v)
	}
	packet, err := d.geometry.Decode(m, d.geometry.CapacityBytes())
	if err != nil {
		t.Fatal(err)
	}
	return packet[:int(packet[2])<<8|int(packet[3])]
}

// TestStraightThroughGradient compares the gradient with finite differences of what it is the gradient of: the
// expected matrix values sum_v p_v unit_v under the same noise, with the drawn digits held.
func TestStraightThroughGradient(t *testing.T) {
	d := newDecoderCase(t, 3)
	w := normal(rand.New(rand.NewPCG(5, 5)), 3, d.geometry.Elements(), 1)
	var (
		fake  *gorgonia.Node
		grads gorgonia.Nodes
	)
	g, err := newGraph(1, func(g *graph) {
		in := gorgonia.Nodes{g.input("logits", d.logits), g.input("theta", d.theta)}
		fake = d.decode(g, in[0], in[1])
		grads = g.gradients(g.sumAll(g.mul(fake, g.input("w", w))), in)
	})
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, g, fake)
	var drawn [][]choice
	for b := range d.labels {
		drawn = append(drawn, slices.Clone(d.drawn[b].choices))
	}
	expected := func() float64 {
		sum := 0.0
		for b := range d.labels {
			sum += d.expected(b, drawn[b], data(w))
		}
		return sum
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for i, m := range []*tensor.Dense{d.logits, d.theta} {
		checked := 0
		got := mustValue(t, grads[i])
		for checked < 40 {
			j := rng.IntN(len(got))
			if got[j] == 0 && checked%4 != 0 { // most places are never drawn
				continue
			}
			checked++
			want := centralDifference(expected, &data(m)[j])
			wantNear(t, []string{"logit", "theta"}[i], []float32{got[j]}, []float32{float32(want)}, 0.03)
		}
	}
}

// expected is the weighted expected matrix of packet b, what was drawn held. The noise is drawn again as draw did:
// a number for the shape, where there are several, and for each width, and one for each value of a choice.
func (d decoderCase) expected(b int, choices []choice, w []float32) float64 {
	label := d.labels[b]
	f := &d.forests[label]
	rng := rand.New(rand.NewPCG(d.seed, uint64(b)))
	drawShape(rng, f)
	sum := 0.0
	for _, c := range choices {
		values, _ := f.Support(c.node)
		width := d.capacity * digitValues
		var total float64
		weight := make([]float64, len(values))
		for i, v := range values {
			at := int(f.First[c.node]) + i
			logit := d.prior[label][at] + model.ThetaScale*data(d.theta)[d.first[label]+at] +
				f.Logit(c.slot, v, c.place, data(d.logits)[b*width:(b+1)*width])
			weight[i] = math.Exp(float64(logit)) / rng.ExpFloat64()
			total += weight[i]
		}
		for i, v := range values {
			for at := range c.digits {
				sum += weight[i] / total * float64(d.written(f, c.slot, v, at)) *
					float64(d.blockSum(w[b*d.geometry.Elements():], c.place+at))
			}
		}
	}
	return sum
}

// TestTrainingDrawsWhatSamplersDraw: the batch that training sees and the sampler of the exported model follow the
// same distribution, here of weights far from where training starts.
func TestTrainingDrawsWhatSamplersDraw(t *testing.T) {
	skipInShort(t)
	opts, err := Options{Seed: 1, Batch: 50, Prior: model.PriorUniform}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	data1 := lanData(1, 60)[1:2]
	s, err := newSplit(data1, 1)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := newGAN(t.Context(), s, opts)
	if err != nil {
		t.Fatal(err)
	}
	g := rec.(*gan)
	for i, p := range g.adamG.params {
		for j := range data(p.value) {
			data(p.value)[j] += float32(g.rng.NormFloat64()) * 0.1
		}
		copy(g.average.values[i], data(p.value))
	}
	m, err := g.export()
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := m.NewSampler("dns", 3)
	if err != nil {
		t.Fatal(err)
	}
	var fake *gorgonia.Node
	graph, err := newGraph(1, func(gr *graph) { _, fake = g.generate(gr) })
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 240 // with 40 the drawings alone gave ratios up to 1.22
	var sampled, drawn [][]byte
	for range rounds {
		g.drawInputs()
		out := mustRun(t, graph, fake)
		for b := range opts.Batch {
			p, err := sampler.Next(nil)
			if err != nil {
				t.Fatal(err)
			}
			sampled, drawn = append(sampled, p), append(drawn, decoderCase{decoder: g.decoder}.read(t, out, b))
		}
	}
	half := newJudge([][][]byte{sampled[:len(sampled)/2]}, 1)
	floor, got := half.distance(0, sampled[len(sampled)/2:]), half.distance(0, drawn[len(drawn)/2:])
	if got > 1.15*floor {
		t.Errorf("distance of what training draws to what the sampler draws is %.4f, of the sampler to itself %.4f", got, floor)
	}
}

// zeros is a source of random numbers that are all 0.
type zeros struct{}

func (zeros) Uint64() uint64 { return 0 }

// TestGumbelIsFinite: one draw in 2^32 is 0, which once in a thousand trainings ended one with a loss that is no number.
func TestGumbelIsFinite(t *testing.T) {
	rng := rand.New(zeros{})
	if e := rng.ExpFloat64(); e != 0 {
		t.Fatalf("ExpFloat64 of zeros is %v: this tests nothing", e)
	}
	if g := gumbel(rng); math.IsInf(g, 0) || math.IsNaN(g) {
		t.Errorf("noise %v", g)
	}
}
