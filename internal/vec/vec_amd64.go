package vec

import "golang.org/x/sys/cpu"

// hasVector says whether this processor (and the system) runs AVX2. Tests clear it.
var hasVector = cpu.X86.HasAVX2

// Each of these computes the first n values of what is named like it; n is a multiple of width, and more than 0.

//go:noescape
func addVector(n int, dst, a, b *float32)

//go:noescape
func mulVector(n int, dst, a, b *float32)

//go:noescape
func addProductVector(n int, dst, a, b *float32)

//go:noescape
func addScaledVector(n int, dst *float32, s float32, x *float32)

//go:noescape
func lerpVector(n int, dst *float32, s float32, x *float32)

//go:noescape
func affineVector(n int, dst *float32, a float32, x *float32, b float32)

//go:noescape
func gateVector(n int, dst *float32, slope float32, x, d *float32)

//go:noescape
func addGateVector(n int, dst *float32, slope float32, x, b *float32)

//go:noescape
func normaliseVector(n int, dst, x, mean, inverse *float32)

//go:noescape
func adamVector(n int, s *AdamStep, w, m, v, d *float32)
