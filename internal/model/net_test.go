package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/encoding"
)

// TestPaperArch pins the paper's generator: noise -> 1,024 -> 12,544 -> 256 @ 7x7 -> 64 @ 14x14 -> 32 @
// 28x28 -> 1 @ 28x28, no bias where batch normalisation has one.
func TestPaperArch(t *testing.T) {
	a := PaperArch(encoding.Paper(), 1, 64)
	want := []string{
		"fc1.weight [64 1024]", "fc1.gamma [1024]", "fc1.beta [1024]", "fc1.mean [1024]", "fc1.variance [1024]",
		"fc2.weight [1024 12544]", "fc2.gamma [12544]", "fc2.beta [12544]", "fc2.mean [12544]", "fc2.variance [12544]",
		"deconv1.weight [256 4 4 64]", "deconv1.gamma [64]", "deconv1.beta [64]", "deconv1.mean [64]", "deconv1.variance [64]",
		"deconv2.weight [64 4 4 32]", "deconv2.gamma [32]", "deconv2.beta [32]", "deconv2.mean [32]", "deconv2.variance [32]",
		"conv.weight [32 4 4 1]", "conv.bias [1]",
	}
	if diff := cmp.Diff(want, specs(a)); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Size{28, 28, 1}, a.Outputs()); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func TestGateArch(t *testing.T) {
	a := GateArch(encoding.Geometry{N: 32, W: 16, D: 2}, 3)
	want := []string{
		"fc.weight [67 2048]", "fc.bias [2048]", "deconv1.weight [32 4 4 16]", "deconv1.bias [16]",
		"deconv2.weight [16 4 4 16]", "deconv2.bias [16]", "logits.weight [16 16]",
	}
	if diff := cmp.Diff(want, specs(a)); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Size{16, 16, 16}, a.Outputs()); diff != "" {
		t.Errorf("outputs: 16 logits for each digit (-want +got):\n%s", diff)
	}
}

func specs(a Arch) (specs []string) {
	for _, t := range a.Tensors() {
		specs = append(specs, fmt.Sprint(t.Name, " ", t.Shape))
	}
	return specs
}

// TestLayersFit: each layer takes what the one before gives, for every size of matrix.
func TestLayersFit(t *testing.T) {
	for _, longest := range []int{1, 98, 99, 392, 393, 1514} {
		g, err := encoding.Fit(longest)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []Arch{GateArch(g, 3), PaperArch(g, 1, 64)} {
			if err := a.Validate(); err != nil {
				t.Error(err)
			}
			for i, l := range a.Layers()[1:] {
				if before := a.Layers()[i].Out; l.In != before {
					t.Errorf("%s, %v: %s takes %v, gets %v", a.Kind, g, l.Name, l.In, before)
				}
			}
		}
	}
}

func TestArchErrors(t *testing.T) {
	good := GateArch(encoding.Paper(), 3)
	for _, tt := range []struct {
		change func(a *Arch)
		want   string
	}{
		{func(a *Arch) { a.Kind = "mlp" }, `network "mlp": must be "gate" or "paper"`},
		{func(a *Arch) { a.N, a.D = 30, 2 }, "network gate: n = 30 must be a multiple of 4: two layers double the side"},
		{func(a *Arch) { a.D = 3 }, "network gate: geometry n=28 w=1 d=3: n must be a multiple of d, from d to 4096"},
		{func(a *Arch) { a.Noise = 0 }, "network gate: noise, labels, hidden and channels must be 1 to 65536 each, not 0"},
		{func(a *Arch) { a.Channels[2] = -1 }, "network gate: noise, labels, hidden and channels must be 1 to 65536 each, not -1"},
		{func(a *Arch) { a.Kind = NetPaper }, "network paper: noise, labels, hidden and channels must be 1 to 65536 each, not 0"},
		{func(a *Arch) { a.N, a.Channels[0] = 4096, 65536 }, "network gate: layer fc has 68719476736 outputs: at most 67108864"},
	} {
		a := good
		tt.change(&a)
		_, err := NewNet(a)
		if err == nil {
			t.Errorf("no error, want %q", tt.want)
		} else if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
}

// TestForwardIsTheDefinition compares with the layers' definitions written down as loops.
func TestForwardIsTheDefinition(t *testing.T) {
	for _, a := range []Arch{
		{Kind: NetGate, N: 12, D: 2, Noise: 5, Labels: 2, Channels: [3]int{6, 4, 3}},
		{Kind: NetGate, N: 8, D: 1, Noise: 3, Labels: 1, Channels: [3]int{2, 3, 5}},
		{Kind: NetPaper, N: 8, D: 2, Noise: 4, Labels: 3, Hidden: 7, Channels: [3]int{5, 4, 3}},
		{Kind: NetPaper, N: 28, D: 2, Noise: 3, Labels: 1, Hidden: 4, Channels: [3]int{3, 2, 2}},
		{Kind: NetPaper, N: 12, D: 2, Noise: 3, Labels: 1, Hidden: 4, Channels: [3]int{manyChannels, 3, 2}},
	} {
		t.Run(fmt.Sprintf("%s %d", a.Kind, a.N), func(t *testing.T) {
			n := mustNet(t, a, 1)
			f := newForward(n, 19) // more than one product of the small layers takes
			rng := rand.New(rand.NewPCG(9, 9))
			for i := range f.input {
				f.input[i] = float32(rng.NormFloat64())
			}
			got := f.run()
			for b := range f.batch {
				want := define(n, f.input[b*a.Inputs():][:a.Inputs()])
				for i, w := range want {
					if g := float64(got[b*len(want)+i]); math.Abs(g-w) > 1e-5*(1+math.Abs(w)) {
						t.Fatalf("input %d, output %d: got %v, want %v", b, i, g, w)
					}
				}
			}
		})
	}
}

// define computes one output of a generator as the comments on LayerKind say, in float64.
func define(n *Net, input []float32) []float64 {
	x := make([]float64, len(input))
	for i, v := range input {
		x[i] = float64(v)
	}
	weights := map[string][]float32{}
	for i, t := range n.Arch.Tensors() {
		weights[t.Name] = n.Weights[i]
	}
	for _, l := range n.Arch.Layers() {
		y := make([]float64, l.Out.Len())
		w := weights[l.Name+".weight"]
		in := func(i, j, c int) float64 { return x[(i*l.In.W+j)*l.In.C+c] }
		channels := l.Out.C
		switch l.Kind {
		case Dense:
			channels = len(y)
			for o := range y {
				for i, v := range x {
					y[o] += v * float64(w[i*len(y)+o])
				}
			}
		case Pointwise:
			for o := range y {
				for c := range l.In.C {
					y[o] += x[o/channels*l.In.C+c] * float64(w[c*channels+o%channels])
				}
			}
		case BlockMean:
			for o := range y {
				i, j, c := o/channels/l.Out.W, o/channels%l.Out.W, o%channels
				for r := range l.Stride * l.Stride {
					y[o] += in(i*l.Stride+r/l.Stride, j*l.Stride+r%l.Stride, c) / float64(l.Stride*l.Stride)
				}
			}
		case Deconv:
			for i := range l.In.H * l.In.W * l.In.C * Kernel * Kernel * channels {
				o, kx, ky := i%channels, i/channels%Kernel, i/channels/Kernel%Kernel
				c := i / channels / Kernel / Kernel % l.In.C
				pixel := i / channels / Kernel / Kernel / l.In.C
				row, col := l.Stride*(pixel/l.In.W)+ky-l.Pad, l.Stride*(pixel%l.In.W)+kx-l.Pad
				if row >= 0 && row < l.Out.H && col >= 0 && col < l.Out.W {
					y[(row*l.Out.W+col)*channels+o] += in(pixel/l.In.W, pixel%l.In.W, c) * float64(w[((c*Kernel+ky)*Kernel+kx)*channels+o])
				}
			}
		}
		at := func(tensor string, o int) float64 { return float64(weights[l.Name+"."+tensor][o%channels]) }
		for o, v := range y {
			if l.Bias {
				v += at("bias", o)
			}
			if l.Norm {
				v = at("gamma", o)*(v-at("mean", o))/math.Sqrt(at("variance", o)+NormEpsilon) + at("beta", o)
			}
			switch {
			case l.Act == LeakyReLU && v < 0:
				v *= float64(l.Slope)
			case l.Act == Tanh:
				v = math.Tanh(v)
			}
			y[o] = v
		}
		x = y
	}
	return x
}

func TestForwardDoesNotAllocate(t *testing.T) {
	f := newForward(mustNet(t, GateArch(encoding.Paper(), 2), 1), 8)
	if allocs := testing.AllocsPerRun(10, func() { f.run() }); allocs != 0 {
		t.Errorf("%v allocations a batch, want 0", allocs)
	}
}

// TestLargeNetworksTakeSmallBatches bounds the memory that a sampler takes.
func TestLargeNetworksTakeSmallBatches(t *testing.T) {
	large := Arch{Kind: NetGate, N: 1024, D: 1, Noise: 1, Labels: 1, Channels: [3]int{1, 1, 1}}
	if f := newForward(mustNet(t, large, 1), 64); f.batch != 1 { // 1024 * 1024 * 16 logits
		t.Errorf("batch of %d, want 1", f.batch)
	}
}

func BenchmarkForward(b *testing.B) {
	for _, a := range []Arch{GateArch(encoding.Paper(), 3), PaperArch(encoding.Paper(), 1, 64)} {
		b.Run(string(a.Kind), func(b *testing.B) {
			f := newForward(mustNet(b, a, 1), gateBatch)
			b.ReportAllocs()
			for b.Loop() {
				f.run()
			}
			b.ReportMetric(float64(b.N*f.batch)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}

// mustNet returns a network with random weights; variances are positive.
func mustNet(tb testing.TB, a Arch, seed uint64) *Net {
	tb.Helper()
	n, err := NewNet(a)
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 7))
	for i, t := range a.Tensors() {
		for j := range n.Weights[i] {
			n.Weights[i][j] = float32(rng.NormFloat64()) / 4
			if !t.Trained {
				n.Weights[i][j] *= n.Weights[i][j]
			}
		}
	}
	return n
}
