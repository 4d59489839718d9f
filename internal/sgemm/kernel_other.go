//go:build !amd64

package sgemm

func hasVector() bool { return false }

func vectorStrip(s *strip) { portableStrip(s) }

func vectorCopyTiles(width int, dst []float32, stride int, src []float32, ld, rows, cols int) {
	copyTiles(width, dst, stride, src, ld, rows, cols)
}

func vectorTranspose(cols int, dst, src []float32, ld int) { transpose(8, cols, dst, src, ld) }
