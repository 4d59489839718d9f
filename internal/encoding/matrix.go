package encoding

import "fmt"

// Encode returns the packet as an N x N matrix, row by row: equation (1) spreads each digit x to the
// middle of its sub-range, x*w + w/2, so that up to 7 of w = 16 either way still decodes; the value
// fills the digit's D x D block (Fig. 6), and what no digit fills is 0.
func (g Geometry) Encode(packet []byte) ([]float32, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	m := make([]float32, g.Elements())
	return m, g.EncodeInto(m, packet)
}

// EncodeInto is [Geometry.Encode] into m, N*N elements, all of which are written. It does not
// allocate.
func (g Geometry) EncodeInto(m []float32, packet []byte) error {
	if len(m) != g.Elements() {
		return fmt.Errorf("encode packet: the matrix has %d elements, geometry %v needs %d", len(m), g, g.Elements())
	}
	if len(packet) > g.CapacityBytes() {
		return fmt.Errorf("encode packet of %d bytes: %w: geometry %v holds %d bytes", len(packet), ErrTooLong, g, g.CapacityBytes())
	}
	clear(m)
	for i, b := range packet {
		g.fill(m, 2*i, g.Spread(b>>4))
		g.fill(m, 2*i+1, g.Spread(b&15))
	}
	return nil
}

// Spread is equation (1): the middle of the sub-range of digit x.
func (g Geometry) Spread(x uint8) float32 { return float32(x)*float32(g.W) + float32(g.W)/2 }

// Digit is equation (2): the digit in whose sub-range y lies, floor(y/w), held within 0..15. NaN
// gives 0.
func (g Geometry) Digit(y float32) uint8 {
	x := y / float32(g.W)
	switch {
	case !(x > 0): // NaN too
		return 0
	case x >= Values:
		return Values - 1
	}
	return uint8(x)
}

// Decode returns the first length bytes that the matrix m holds, N*N elements row by row: each digit
// is equation (2) of the mean of its block.
func (g Geometry) Decode(m []float32, length int) ([]byte, error) {
	return g.AppendDecode(nil, m, length)
}

// AppendDecode is [Geometry.Decode] appended to dst. It allocates only where dst lacks room.
func (g Geometry) AppendDecode(dst []byte, m []float32, length int) ([]byte, error) {
	if err := g.checkDecode(m, length); err != nil {
		return dst, err
	}
	for i := range length {
		dst = append(dst, g.read(m, 2*i)<<4|g.read(m, 2*i+1))
	}
	return dst, nil
}

// AppendDecodeDigits appends the first count digits that the matrix m holds to dst.
func (g Geometry) AppendDecodeDigits(dst []uint8, m []float32, count int) ([]uint8, error) {
	if err := g.checkDecode(m, (count+1)/2); err != nil {
		return dst, err
	}
	for i := range count {
		dst = append(dst, g.read(m, i))
	}
	return dst, nil
}

// ToUnit maps a matrix value y in 0..16w to -1..1, the range of the paper's tanh.
func (g Geometry) ToUnit(y float32) float32 { return y/g.half() - 1 }

// FromUnit is the inverse of [Geometry.ToUnit].
func (g Geometry) FromUnit(v float32) float32 { return (v + 1) * g.half() }

func (g Geometry) half() float32 { return float32(g.W) * Values / 2 }

func (g Geometry) checkDecode(m []float32, length int) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if len(m) != g.Elements() {
		return fmt.Errorf("decode packet: the matrix has %d elements, geometry %v needs %d", len(m), g, g.Elements())
	}
	if length < 0 {
		return fmt.Errorf("decode packet of %d bytes: a length is not negative", length)
	}
	if length > g.CapacityBytes() {
		return fmt.Errorf("decode packet of %d bytes: %w: geometry %v holds %d bytes", length, ErrTooLong, g, g.CapacityBytes())
	}
	return nil
}

// fill writes y to the digit's block.
func (g Geometry) fill(m []float32, digit int, y float32) {
	row, col := g.Block(digit)
	for r := row; r < row+g.D; r++ {
		for c := col; c < col+g.D; c++ {
			m[r*g.N+c] = y
		}
	}
}

// read decodes the mean of the digit's block.
func (g Geometry) read(m []float32, digit int) uint8 {
	row, col := g.Block(digit)
	var sum float32
	for r := row; r < row+g.D; r++ {
		for c := col; c < col+g.D; c++ {
			sum += m[r*g.N+c]
		}
	}
	return g.Digit(sum / float32(g.D*g.D))
}
