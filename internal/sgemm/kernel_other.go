//go:build !amd64

package sgemm

func hasVector() bool { return false }

func vectorStrip(s *strip) { portableStrip(s) }

func vectorTranspose(cols int, dst, src []float32, ld int) { transpose(8, cols, dst, src, ld) }
