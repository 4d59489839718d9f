// Package encoding turns the bytes of an IP packet into the matrix of PAC-GAN's paper and back, and
// into the hex digits that the digit trees and the categorical generator work on.
//
// It is the paper's equations (1) and (2) and its Fig. 6 (A. Cheng, "PAC-GAN: Packet Generation of
// Network Traffic using Generative Adversarial Networks", 2019), for any consistent n, w and d. It
// knows nothing of protocols: any byte string is encoded alike.
package encoding

import (
	"errors"
	"fmt"
)

// Values is the number of values of a digit: bytes are split into hex digits.
const Values = 16

const (
	maxSide  = 1 << 12 // of a matrix, so that shapes read from a file cannot exhaust memory
	maxWidth = 1 << 12 // of a digit's sub-range
	// maxPacket is the longest IPv4 packet (RFC 791: the total length is a 16-bit field).
	maxPacket = 1<<16 - 1
)

// ErrTooLong is what errors about packets beyond a geometry's capacity wrap.
var ErrTooLong = errors.New("packet is longer than the matrix holds")

// Geometry is the shape of the paper's encoding: an N x N matrix in which each digit, spread over
// a sub-range of W values, fills a block of D x D elements.
type Geometry struct {
	N int `json:"n"` // side of the matrix, a multiple of D
	W int `json:"w"` // width of one digit's sub-range
	D int `json:"d"` // side of one digit's block
}

// Paper returns the geometry of the paper: n = 28, w = 16, d = 2, which holds 98 bytes.
func Paper() Geometry { return Geometry{N: 28, W: 16, D: 2} }

// Validate reports what is inconsistent.
func (g Geometry) Validate() error {
	switch {
	case g.D < 1 || g.N < 1 || g.N > maxSide || g.N%g.D != 0:
		return fmt.Errorf("geometry %v: n must be a multiple of d, from d to %d", g, maxSide)
	case g.W < 1 || g.W > maxWidth:
		return fmt.Errorf("geometry %v: w must be 1 to %d", g, maxWidth)
	case g.CapacityBytes() < 1:
		return fmt.Errorf("geometry %v holds no byte: n must be at least %d", g, 2*g.D)
	}
	return nil
}

// DigitsCapacity is the number of digits that the matrix holds: one for each block.
func (g Geometry) DigitsCapacity() int { return g.row() * g.row() }

// CapacityBytes is the length in bytes of the longest packet that the matrix holds.
func (g Geometry) CapacityBytes() int { return g.DigitsCapacity() / 2 }

// Elements is the number of elements of the matrix, N * N.
func (g Geometry) Elements() int { return g.N * g.N }

// Block returns the row and column of the first element of a digit's D x D block. Digits lie row by
// row, the high digit of each byte first (Fig. 6).
func (g Geometry) Block(digit int) (row, col int) {
	return digit / g.row() * g.D, digit % g.row() * g.D
}

// String is how errors print a geometry.
func (g Geometry) String() string { return fmt.Sprintf("n=%d w=%d d=%d", g.N, g.W, g.D) }

// row is the number of digits in one row of blocks.
func (g Geometry) row() int { return g.N / g.D }

// Fit returns the geometry for packets of up to longest bytes: the paper's while they fit in it,
// then larger matrices, n a multiple of 4 as two stride-2 deconvolutions need it. Up to n = 56 a
// digit keeps its 2 x 2 block (392 bytes); beyond that it gets one element, so that a full Ethernet
// packet (1,500 bytes) still fits in 56 x 56, a quarter of what d = 2 would need.
func Fit(longest int) (Geometry, error) {
	if longest < 1 || longest > maxPacket {
		return Geometry{}, fmt.Errorf("geometry for packets of %d bytes: must be 1 to %d", longest, maxPacket)
	}
	g := Paper()
	for g.CapacityBytes() < longest {
		g.N += 4
		if g.D == 2 && g.N > 56 {
			g.N, g.D = 32, 1
		}
	}
	return g, nil
}
