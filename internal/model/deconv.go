package model

import "pacgan-appliance/internal/vec"

// A deconvolution is a product for each input pixel, whose 4 x 4 blocks are added where they overlap. One of stride 2 and pad 1 needs
// no scattered additions: the 2 x 2 output block at (2p-1, 2q-1) depends on the 2 x 2 input window at (p-1, q-1) alone, p = 0..h
// and q = 0..w, by a matrix of the filter's values. So the windows are gathered as rows (what lies outside the image is 0), one
// product gives all blocks, and the blocks are copied out. Windows at the border are products of zeros, which costs more than adding
// where the channels are many.

// manyChannels is the number of input channels from which blocks are added.
const manyChannels = 64

// WindowOrder is the order in which that matrix [2*2*cin x 2*2*cout] has a filter's values [cin][ky][kx][cout]: its value i is
// the filter's WindowOrder[i]. Row (u, v, cin) is for the input pixel (p-1+u, q-1+v), column (r, s, cout) for the output pixel
// (2p-1+r, 2q-1+s). From out = 2*in + ky - 1 follows ky = r + 2 - 2u, and kx likewise.
func WindowOrder(cin, cout int) []int32 {
	order := make([]int32, 0, Kernel*Kernel*cin*cout)
	for uv := range 4 {
		for c := range cin {
			for rs := range 4 {
				ky, kx := rs/2+2-2*(uv/2), rs%2+2-2*(uv%2)
				for o := range cout {
					order = append(order, int32(((c*Kernel+ky)*Kernel+kx)*cout+o))
				}
			}
		}
	}
	return order
}

// windowWeights arranges a filter so.
func windowWeights(filter []float32, cin, cout int) []float32 {
	m := make([]float32, len(filter))
	for i, from := range WindowOrder(cin, cout) {
		m[i] = filter[from]
	}
	return m
}

// byWindows reports whether the layer is done by windows.
func (l Layer) byWindows() bool { return l.Kind == Deconv && l.Stride == 2 && l.In.C < manyChannels }

// productShape is the matrix product that one image of a Deconv layer takes: rows x inner times
// inner x outer.
func (l *boundLayer) productShape() (rows, inner, outer int) {
	if l.byWindows() {
		return (l.In.H + 1) * (l.In.W + 1), 4 * l.In.C, 4 * l.Out.C
	}
	return l.In.H * l.In.W, l.In.C, Kernel * Kernel * l.Out.C
}

// deconv computes a Deconv layer, l.images at a time.
func (f *forward) deconv(l *boundLayer, in, out []float32) {
	rows, inner, outer := l.productShape()
	for from := 0; from < f.batch; from += l.images {
		n := min(l.images, f.batch-from)
		x := in[from*l.In.Len():][:n*l.In.Len()]
		y := out[from*l.Out.Len():][:n*l.Out.Len()]
		product := f.product[:n*rows*outer]
		if !l.byWindows() {
			f.multiply(l.weight, n*rows, inner, outer, x, product)
			l.scatter(product, y)
			l.finish(y)
			continue
		}
		windows := f.windows[:n*rows*inner]
		l.gather(x, windows)
		f.multiply(l.weight, n*rows, inner, outer, windows, product)
		l.finish(product)
		l.place(product, y)
	}
}

// gather writes the 2 x 2 input windows of each image as rows [(h+1)*(w+1)][2][2][cin].
func (l *boundLayer) gather(in, windows []float32) {
	h, w, c := l.In.H, l.In.W, l.In.C
	for ; len(in) > 0; in = in[l.In.Len():] {
		for p := range h + 1 {
			for q := range w + 1 {
				for u := range 2 {
					half := windows[:2*c]
					windows = windows[2*c:]
					row := p - 1 + u
					if row < 0 || row >= h {
						clear(half)
						continue
					}
					copyPixels(half, in[row*w*c:(row+1)*w*c], q-1, c)
				}
			}
		}
	}
}

// copyPixels copies the two pixels from column col on, of c channels each; outside the row they are
// 0.
func copyPixels(dst, row []float32, col, c int) {
	switch {
	case col < 0:
		clear(dst[:c])
		copy(dst[c:], row[:c])
	case (col+2)*c > len(row):
		copy(dst, row[col*c:])
		clear(dst[c:])
	default:
		copy(dst, row[col*c:(col+2)*c])
	}
}

// place copies the 2 x 2 output blocks [(h+1)*(w+1)][2][2][cout] of each image to their pixels; what
// lies outside is dropped.
func (l *boundLayer) place(product, out []float32) {
	h, w, c := l.Out.H, l.Out.W, l.Out.C
	for ; len(out) > 0; out = out[l.Out.Len():] {
		for p := range l.In.H + 1 {
			for q := range l.In.W + 1 {
				for r := range 2 {
					half := product[:2*c]
					product = product[2*c:]
					row, col := 2*p-1+r, 2*q-1
					if row < 0 || row >= h {
						continue
					}
					line := out[row*w*c : (row+1)*w*c]
					if col < 0 {
						copy(line[:c], half[c:])
					} else {
						copy(line[col*c:], half[:min(2, w-col)*c])
					}
				}
			}
		}
	}
}

// scatter adds the [h*w][ky][kx][cout] products of each image where they lie in the output; what lies outside is dropped.
func (l *boundLayer) scatter(product, out []float32) {
	clear(out)
	h, w, c := l.Out.H, l.Out.W, l.Out.C
	for ; len(out) > 0; out = out[l.Out.Len():] {
		for pixel := range l.In.H * l.In.W {
			top, left := l.Stride*(pixel/l.In.W)-l.Pad, l.Stride*(pixel%l.In.W)-l.Pad
			from, to := max(0, -left), min(Kernel, w-left) // of the block's columns, those inside
			for row := top; row < top+Kernel; row++ {
				line := product[:Kernel*c]
				product = product[Kernel*c:]
				if row < 0 || row >= h {
					continue
				}
				at := out[(row*w+left+from)*c : (row*w+left+to)*c]
				if len(at) <= Kernel { // a vector is no gain
					for i, x := range line[from*c : to*c] {
						at[i] += x
					}
					continue
				}
				vec.Add(at, at, line[from*c:])
			}
		}
	}
}
