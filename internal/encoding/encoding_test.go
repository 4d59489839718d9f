package encoding

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

// geometries are consistent ones of all kinds: the paper's, odd widths, d of 1 to 4, no spare block.
func geometries() []Geometry {
	gs := []Geometry{Paper(), {N: 2, W: 1, D: 1}, {N: 3, W: 3, D: 1}, {N: 12, W: 7, D: 3}, {N: 16, W: 256, D: 4}, {N: 56, W: 16, D: 1}}
	for n := 4; n <= 64; n += 4 {
		for _, d := range []int{1, 2} {
			gs = append(gs, Geometry{N: n, W: 16, D: d})
		}
	}
	return gs
}

func TestPaperGeometryHolds98Bytes(t *testing.T) {
	g := Paper()
	if g.CapacityBytes() != 98 || g.DigitsCapacity() != 196 || g.Elements() != 784 {
		t.Errorf("capacity %d bytes, %d digits, %d elements", g.CapacityBytes(), g.DigitsCapacity(), g.Elements())
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		longest int
		want    Geometry
	}{
		{1, Geometry{28, 16, 2}},
		{98, Geometry{28, 16, 2}},
		{99, Geometry{32, 16, 2}},
		{128, Geometry{32, 16, 2}},
		{160, Geometry{36, 16, 2}},
		{392, Geometry{56, 16, 2}},
		{393, Geometry{32, 16, 1}},
		{513, Geometry{36, 16, 1}},
		{1500, Geometry{56, 16, 1}},
		{1514, Geometry{56, 16, 1}},
		{65535, Geometry{364, 16, 1}},
	} {
		got, err := Fit(tt.longest)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Fit(%d) (-want +got):\n%s", tt.longest, diff)
		}
		if err := got.Validate(); err != nil || got.CapacityBytes() < tt.longest || got.N%4 != 0 {
			t.Errorf("Fit(%d) = %v: holds %d bytes, %v", tt.longest, got, got.CapacityBytes(), err)
		}
	}
	for _, longest := range []int{-1, 0, 65536} {
		if g, err := Fit(longest); err == nil {
			t.Errorf("Fit(%d) = %v, want an error", longest, g)
		}
	}
}

// TestEncodeIsThePapers pins equation (1) and Fig. 6 by hand: digits 4, 5, 0, 15 of a 4 x 4 matrix
// with blocks of 2 x 2.
func TestEncodeIsThePapers(t *testing.T) {
	got, err := Geometry{N: 4, W: 16, D: 2}.Encode([]byte{0x45, 0x0f})
	want := []float32{
		72, 72, 88, 88,
		72, 72, 88, 88,
		8, 8, 248, 248,
		8, 8, 248, 248,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	got, err = Geometry{N: 4, W: 16, D: 1}.Encode([]byte{0x12, 0x34, 0x56})
	want = []float32{24, 40, 56, 72, 88, 104, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("one element a digit, the rest 0: error %v (-want +got):\n%s", err, diff)
	}
}

func TestDigit(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tt := range []struct {
		name string
		w    int
		y    float32
		want uint8
	}{
		{"bottom of a sub-range", 16, 16, 1},
		{"top of a sub-range", 16, 31.99, 1},
		{"next sub-range", 16, 32, 2},
		{"below 0", 16, -0.5, 0},
		{"above the last", 16, 256, 15},
		{"far above", 16, inf, 15},
		{"far below", 16, -inf, 0},
		{"not a number", 16, nan, 0},
		{"w = 1", 1, 7.5, 7},
		{"odd w", 3, 46.5, 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Geometry{N: 28, W: tt.w, D: 2}).Digit(tt.y); got != tt.want {
				t.Errorf("Digit(%v) = %d, want %d", tt.y, got, tt.want)
			}
		})
	}
}

// TestNoiseUpTo7Decodes is the paper's claim for equation (1): with w = 16 a value that is off by
// up to 7 decodes to the same digit.
func TestNoiseUpTo7Decodes(t *testing.T) {
	g := Paper()
	for x := range uint8(Values) {
		for noise := float32(-7); noise <= 7; noise += 0.25 {
			if got := g.Digit(g.Spread(x) + noise); got != x {
				t.Errorf("digit %d with noise %v decodes to %d", x, noise, got)
			}
		}
	}
	if g.Digit(g.Spread(3)+8) == 3 {
		t.Error("noise of 8 still decodes: the value is not the middle of its sub-range")
	}
}

func TestRoundTripAllGeometries(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, g := range geometries() {
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		full := g.CapacityBytes()
		for _, length := range []int{0, 1, rng.IntN(full + 1), full - 1, full} {
			packet := randomBytes(rng, length)
			m, err := g.Encode(packet)
			if err != nil {
				t.Fatal(err)
			}
			for i := range m { // less than half of a sub-range
				m[i] += (rng.Float32() - 0.5) * 0.9 * float32(g.W)
			}
			got, err := g.Decode(m, length)
			if err != nil || !bytes.Equal(got, packet) {
				t.Fatalf("%v: %d bytes: got %x, want %x (%v)", g, length, got, packet, err)
			}
			digits, err := g.AppendDecodeDigits(nil, m, 2*length)
			if diff := cmp.Diff(AppendDigits(nil, packet), digits); diff != "" || err != nil {
				t.Fatalf("%v: error %v, digits (-want +got):\n%s", g, err, diff)
			}
		}
	}
}

// TestDecodeTakesTheMean: what counts is the mean of a block, not one of its elements.
func TestDecodeTakesTheMean(t *testing.T) {
	g := Geometry{N: 4, W: 16, D: 2}
	got, err := g.Decode([]float32{
		0, 255, 40, 40,
		0, 33, 40, 40,
		0, 0, 0, 0,
		0, 0, 0, 0,
	}, 1)
	if diff := cmp.Diff([]byte{0x42}, got); diff != "" || err != nil { // (255+33)/4 = 72
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestUnitRange(t *testing.T) {
	for _, g := range geometries() {
		for x := range uint8(Values) {
			v := g.ToUnit(g.Spread(x))
			if v <= -1 || v >= 1 {
				t.Errorf("%v: digit %d is %v, outside tanh's range", g, x, v)
			}
			if got := g.Digit(g.FromUnit(v)); got != x {
				t.Errorf("%v: digit %d comes back as %d", g, x, got)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	g := Paper()
	small := make([]float32, 4)
	_, tooLong := g.Encode(make([]byte, 99))
	_, decodeLong := g.Decode(make([]float32, 784), 120)
	_, negative := g.Decode(make([]float32, 784), -1)
	_, digits := g.AppendDecodeDigits(nil, make([]float32, 784), 197)
	_, shape := g.Decode(small, 1)
	_, odd := AppendBytes(nil, []uint8{1, 2, 3})
	_, range16 := AppendBytes(nil, []uint8{1, 2, 3, 16})
	_, invalid := Geometry{N: 27, W: 16, D: 2}.Encode(nil)
	_, invalidDecode := Geometry{N: 27, W: 16, D: 2}.Decode(nil, 0)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{tooLong, "encode packet of 99 bytes: packet is longer than the matrix holds: geometry n=28 w=16 d=2 holds 98 bytes"},
		{decodeLong, "decode packet of 120 bytes: packet is longer than the matrix holds: geometry n=28 w=16 d=2 holds 98 bytes"},
		{digits, "decode packet of 99 bytes: packet is longer than the matrix holds: geometry n=28 w=16 d=2 holds 98 bytes"},
		{negative, "decode packet of -1 bytes: a length is not negative"},
		{g.EncodeInto(small, nil), "encode packet: the matrix has 4 elements, geometry n=28 w=16 d=2 needs 784"},
		{shape, "decode packet: the matrix has 4 elements, geometry n=28 w=16 d=2 needs 784"},
		{odd, "join 3 digits: a byte has two"},
		{range16, "join digits 3 and 16 at 2: a digit is 0 to 15"},
		{invalid, "geometry n=27 w=16 d=2: n must be a multiple of d, from d to 4096"},
		{invalidDecode, "geometry n=27 w=16 d=2: n must be a multiple of d, from d to 4096"},
		{Geometry{N: 0, W: 16, D: 1}.Validate(), "geometry n=0 w=16 d=1: n must be a multiple of d, from d to 4096"},
		{Geometry{N: 4, W: 16, D: 0}.Validate(), "geometry n=4 w=16 d=0: n must be a multiple of d, from d to 4096"},
		{Geometry{N: 5000, W: 16, D: 1}.Validate(), "geometry n=5000 w=16 d=1: n must be a multiple of d, from d to 4096"},
		{Geometry{N: 28, W: 0, D: 2}.Validate(), "geometry n=28 w=0 d=2: w must be 1 to 4096"},
		{Geometry{N: 2, W: 16, D: 2}.Validate(), "geometry n=2 w=16 d=2 holds no byte: n must be at least 4"},
	} {
		if tt.err == nil {
			t.Errorf("no error, want %q", tt.want)
		} else if diff := cmp.Diff(tt.want, tt.err.Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
	if !errors.Is(tooLong, ErrTooLong) || !errors.Is(decodeLong, ErrTooLong) {
		t.Error("errors about length do not wrap ErrTooLong")
	}
}

func TestNoAllocations(t *testing.T) {
	g := Paper()
	packet := randomBytes(rand.New(rand.NewPCG(1, 1)), 98)
	m := make([]float32, g.Elements())
	digits, back := make([]uint8, 0, 196), make([]byte, 0, 98)
	allocs := testing.AllocsPerRun(100, func() {
		_ = g.EncodeInto(m, packet)
		back, _ = g.AppendDecode(back[:0], m, 98)
		digits, _ = g.AppendDecodeDigits(digits[:0], m, 196)
		digits = AppendDigits(digits[:0], packet)
		back, _ = AppendBytes(back[:0], digits)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

// FuzzEncode: whatever fits comes back, whatever does not is refused, nothing panics.
func FuzzEncode(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 84}, 28, 16, 2) // a packet's beginning
	f.Add([]byte{}, 28, 16, 2)               // nothing
	f.Add(make([]byte, 99), 28, 16, 2)       // one byte too many
	f.Add([]byte{1}, 2, 1, 1)                // the smallest matrix
	f.Add([]byte{1}, -4, 16, -2)             // no geometry
	f.Add([]byte{1}, 3, 3, 1)                // a block is left over
	f.Fuzz(func(t *testing.T, packet []byte, n, w, d int) {
		defer bounded.Input(t, len(packet))()
		g := Geometry{N: n, W: w, D: d}
		if g.Validate() == nil && g.N > 256 {
			return // consistent, but slow
		}
		m, err := g.Encode(packet)
		if valid := g.Validate() == nil && len(packet) <= g.CapacityBytes(); valid != (err == nil) {
			t.Fatalf("%v, %d bytes: %v", g, len(packet), err)
		}
		if err != nil {
			return
		}
		got, err := g.Decode(m, len(packet))
		if err != nil || !bytes.Equal(got, packet) {
			t.Errorf("%v: got %x, want %x (%v)", g, got, packet, err)
		}
		joined, err := AppendBytes(nil, AppendDigits(nil, packet))
		if err != nil || !bytes.Equal(joined, packet) {
			t.Errorf("digits: got %x, want %x (%v)", joined, packet, err)
		}
	})
}

// FuzzDecode: any matrix decodes to the bytes that were asked for.
func FuzzDecode(f *testing.F) {
	f.Add(float32(72), 98)                // one value everywhere
	f.Add(float32(math.NaN()), 98)        // not a number
	f.Add(float32(math.Inf(-1)), 1)       // out of range
	f.Add(float32(math.MaxFloat32), 98)   // a sum that overflows
	f.Add(float32(0), math.MaxInt)        // an absurd length
	f.Add(float32(-math.MaxFloat32), -12) // a negative one
	f.Fuzz(func(t *testing.T, y float32, length int) {
		defer bounded.Input(t, 12)()
		g := Paper()
		m := make([]float32, g.Elements())
		for i := range m {
			m[i] = y
		}
		got, err := g.Decode(m, length)
		if valid := length >= 0 && length <= 98; valid != (err == nil) || valid && len(got) != length {
			t.Errorf("%d bytes of %v: got %d bytes, %v", length, y, len(got), err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	g := Paper()
	packet, m := randomBytes(rand.New(rand.NewPCG(1, 1)), 98), make([]float32, g.Elements())
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		if err := g.EncodeInto(m, packet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	g := Paper()
	m, err := g.Encode(randomBytes(rand.New(rand.NewPCG(1, 1)), 98))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 98)
	b.SetBytes(98)
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = g.AppendDecode(dst[:0], m, 98); err != nil {
			b.Fatal(err)
		}
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
