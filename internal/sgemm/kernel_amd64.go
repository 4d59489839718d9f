package sgemm

import "golang.org/x/sys/cpu"

// hasVector says whether this processor (and its kernel) runs the vector code: AVX2 and FMA3,
// that is x86-64-v3.
func hasVector() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA }

// strip6 is portableStrip for s.rows = 6.
//
//go:noescape
func strip6(s *strip)

// strip4 is portableStrip for s.rows = 4.
//
//go:noescape
func strip4(s *strip)

//go:noescape
func pack16(panels, rows int, dst *float32, stride int, src *float32, ld int)

//go:noescape
func pack6(strips, cols int, dst *float32, stride int, src *float32, ld int)

//go:noescape
func transpose8(blocks int, dst, src *float32, ld int)

// vectorStrip computes what portableStrip does, but with fused multiply-adds. s.rows is 4 or 6.
func vectorStrip(s *strip) {
	if s.rows == 4 {
		strip4(s)
		return
	}
	strip6(s)
}

// vectorTranspose copies 8 rows of cols values, ld apart, to 8 columns of a panel: src[j*ld+p] to
// dst[p*panelWidth+j].
func vectorTranspose(cols int, dst, src []float32, ld int) {
	if cols >= 8 {
		transpose8(cols/8, &dst[0], &src[0], ld)
	}
	if done := cols &^ 7; done < cols {
		transpose(8, cols-done, dst[done*panelWidth:], src[done:], ld)
	}
}
