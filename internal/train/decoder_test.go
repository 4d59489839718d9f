package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"pacgan-appliance/internal/encoding"
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
	return decoderCase{d, normal(rng, batch, d.capacity*digitValues, 0.5), normal(rng, d.rows, digitValues, 0.05)}
}

// TestDecodeDrawsWhatTheTreesAllow reads the matrices back as packets and follows them down the trees.
func TestDecodeDrawsWhatTheTreesAllow(t *testing.T) {
	d := newDecoderCase(t, 30)
	var y *gorgonia.Node
	g, err := newGraph(1, func(g *graph) { y = d.decode(g, g.input("logits", d.logits), g.input("theta", d.theta)) })
	if err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, g, y)
	for b, label := range d.labels {
		f := &d.forests[label]
		digits, end := d.read(t, out, b)
		for i := range end {
			values, _ := f.Support(f.Walk(i, digits))
			if !contains(values, uint16(digits[i])) {
				t.Errorf("packet %d digit %d is %d, the trees allow %v", b, i, digits[i], values)
			}
		}
		if lengths, _ := f.Support(f.Walk(f.Digits(), digits)); !contains(lengths, uint16(end/2)) {
			t.Errorf("packet %d has %d bytes, the trees allow %v", b, end/2, lengths)
		}
	}
}

// read returns packet b's digits, and how many its total length says it has.
func (d decoderCase) read(t *testing.T, out []float32, b int) (digits []uint8, end int) {
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
	return encoding.AppendDigits(nil, packet), 2 * (int(packet[2])<<8 | int(packet[3]))
}

func contains(values []uint16, v uint16) bool {
	for _, x := range values {
		if x == v {
			return true
		}
	}
	return false
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
	out := mustRun(t, g, fake)
	var digits [][]uint8
	var ends []int
	for b := range d.labels {
		p, end := d.read(t, out, b)
		digits, ends = append(digits, p), append(ends, end)
	}
	expected := func() float64 {
		sum := 0.0
		for b := range d.labels {
			sum += d.expected(b, digits[b], ends[b], data(w))
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

// expected is the weighted expected matrix of packet b, its digits held.
func (d decoderCase) expected(b int, digits []uint8, end int, w []float32) float64 {
	label := d.labels[b]
	f := &d.forests[label]
	rng := rand.New(rand.NewPCG(d.seed, uint64(b)))
	sum := 0.0
	for i := range end {
		if i == 2*f.MinLen {
			drawLength(rng, f, digits)
		}
		node := f.Walk(i, digits)
		values, _ := f.Support(node)
		row := d.row[label][node]
		if row < 0 {
			continue
		}
		var total, mean float64
		for _, v := range values {
			logit := d.prior[label][node*digitValues+int(v)] + model.ThetaScale*data(d.theta)[int(row)*digitValues+int(v)] +
				data(d.logits)[(b*d.capacity+i)*digitValues+int(v)]
			p := math.Exp(float64(logit)) / rng.ExpFloat64()
			total += p
			mean += p * float64(d.unit[v])
		}
		sum += mean / total * float64(d.blockSum(w[b*d.geometry.Elements():], i))
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
	const rounds = 40
	var sampled, drawn [][]byte
	for range rounds {
		g.drawInputs()
		out := mustRun(t, g.generatorStep.graph, g.fake)
		for b := range opts.Batch {
			p, err := sampler.Next(nil)
			if err != nil {
				t.Fatal(err)
			}
			digits, end := decoderCase{decoder: g.decoder}.read(t, out, b)
			q, err := encoding.AppendBytes(nil, digits[:end])
			if err != nil {
				t.Fatal(err)
			}
			sampled, drawn = append(sampled, p), append(drawn, q)
		}
	}
	half := newJudge([][][]byte{sampled[:len(sampled)/2]}, 1)
	floor, got := half.distance(0, sampled[len(sampled)/2:]), half.distance(0, drawn[len(drawn)/2:])
	if got > 1.15*floor {
		t.Errorf("distance of what training draws to what the sampler draws is %.4f, of the sampler to itself %.4f", got, floor)
	}
}
