package sgemm

import "golang.org/x/sys/cpu"

// hasVector says whether this processor (and the system) runs the vector code: AVX2 and FMA3,
// which x86-64-v3 has.
func hasVector() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA }

// vectorStrip computes what portableStrip does, but with fused multiply-adds. s.rows is 4 or 6.
func vectorStrip(s *strip) {
	if s.rows == 4 {
		strip4(s)
		return
	}
	strip6(s)
}

// vectorCopyTiles is copyTiles for the two widths there are.
func vectorCopyTiles(width int, dst []float32, stride int, src []float32, ld, rows, cols int) {
	if width == panelWidth {
		copyTiles16(cols/panelWidth, rows, &dst[0], stride, &src[0], ld)
		return
	}
	copyTiles6(cols/maxRows, rows, &dst[0], stride, &src[0], ld)
}

// vectorTranspose copies 8 rows of cols values, ld apart, to 8 columns of a panel.
func vectorTranspose(cols int, dst, src []float32, ld int) {
	if cols >= 8 {
		transpose8(cols/8, &dst[0], &src[0], ld)
	}
	if done := cols &^ 7; done < cols {
		transpose(8, cols-done, dst[done*panelWidth:], src[done:], ld)
	}
}

//go:noescape
func strip6(s *strip)

//go:noescape
func strip4(s *strip)

//go:noescape
func copyTiles16(tiles, rows int, dst *float32, stride int, src *float32, ld int)

//go:noescape
func copyTiles6(tiles, rows int, dst *float32, stride int, src *float32, ld int)

//go:noescape
func transpose8(blocks int, dst, src *float32, ld int)
