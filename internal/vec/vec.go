// Package vec computes with slices of float32, element by element: the small change between the matrix products of
// a network's layers, which Go's compiler does one value at a time.
//
// On processors with AVX2 the work is done eight values at a time in assembly, elsewhere in Go; both round each
// operation alike and in the same order, so that the result is the same to the bit. Nothing allocates.
//
// dst may be one of the operands; other overlaps are not allowed. An operand shorter than dst is a programming error and
// panics, like an index out of range; what is longer is not read beyond dst's length.
package vec

import "math"

// width is the number of values that a vector of the processor holds.
const width = 8

// whole is how many of n values are computed by vectors: none where the processor lacks them.
func whole(n int) int {
	if hasVector {
		return n &^ (width - 1)
	}
	return 0
}

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		addVector(n, &dst[0], &a[0], &b[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

// Mul sets dst = a * b.
func Mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		mulVector(n, &dst[0], &a[0], &b[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i] * b[i]
	}
}

// AddScaled sets dst = dst + s*x.
func AddScaled(dst []float32, s float32, x []float32) {
	x = x[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		addScaledVector(n, &dst[0], s, &x[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] += float32(s * x[i]) // converted, so that no processor fuses the two operations
	}
}

// Affine sets dst = a*x + b.
func Affine(dst []float32, a float32, x []float32, b float32) {
	x = x[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		affineVector(n, &dst[0], a, &x[0], b)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = float32(a*x[i]) + b
	}
}

// Lerp sets dst = dst + s*(x - dst).
func Lerp(dst []float32, s float32, x []float32) {
	x = x[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		lerpVector(n, &dst[0], s, &x[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] += float32(s * (x[i] - dst[i]))
	}
}

// Gate sets dst = d where x is positive or +0, else slope*d: leaky ReLU's derivative at x applied to d, and with
// d = x leaky ReLU itself. A NaN in x counts by its sign.
func Gate(dst []float32, slope float32, x, d []float32) {
	x, d = x[:len(dst)], d[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		gateVector(n, &dst[0], slope, &x[0], &d[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] = d[i] * factor(slope, x[i])
	}
}

// AddGate sets dst = leaky ReLU of x + b: that where it is positive or +0, else slope times that.
func AddGate(dst []float32, slope float32, x, b []float32) {
	x, b = x[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		addGateVector(n, &dst[0], slope, &x[0], &b[0])
	}
	for i := n; i < len(dst); i++ {
		y := x[i] + b[i]
		dst[i] = y * factor(slope, y)
	}
}

// Normalise sets dst = (x - mean) * inverse.
func Normalise(dst, x, mean, inverse []float32) {
	x, mean, inverse = x[:len(dst)], mean[:len(dst)], inverse[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		normaliseVector(n, &dst[0], &x[0], &mean[0], &inverse[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] = (x[i] - mean[i]) * inverse[i]
	}
}

// AddProduct sets dst = dst + a*b.
func AddProduct(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		addProductVector(n, &dst[0], &a[0], &b[0])
	}
	for i := n; i < len(dst); i++ {
		dst[i] += float32(a[i] * b[i])
	}
}

// factor is 1, or slope where x has a sign: by a table, since a branch is mispredicted every other time.
func factor(slope, x float32) float32 {
	return [2]float32{1, slope}[math.Float32bits(x)>>31]
}
