package sgemm

// packRows are copied at a time: as many lines as a set of the first cache holds, because rows of
// a training batch tend to lie a multiple of 4 KB apart.
const packRows = 8

// packB copies a block of op(B) to panels of panelWidth columns, row by row. The last panel is
// padded with zeros; if B is used in place, it is the only one.
func (w *worker) packB(b block) {
	whole := b.width / panelWidth * panelWidth
	if whole < b.width {
		clear(w.panels[whole*b.depth : (whole+panelWidth)*b.depth])
	}
	if w.transB {
		for q := 0; q < b.width; q += panelWidth {
			w.packTransposed(w.panels[q*b.depth:], w.b[(b.j+q)*w.ldb+b.p:], b.depth, min(panelWidth, b.width-q))
		}
		return
	}
	src := w.b[b.p*w.ldb+b.j:]
	if !w.inPlaceB() && whole > 0 {
		w.copyTiles(panelWidth, w.panels, src, w.ldb, b.depth, whole)
	}
	if whole < b.width {
		for r := range b.depth {
			copy(w.panels[whole*b.depth+r*panelWidth:], src[r*w.ldb:][whole:b.width])
		}
	}
}

// packTransposed fills width columns of a panel from as many rows.
func (w *worker) packTransposed(panel, src []float32, depth, width int) {
	j := 0
	for ; w.vector && j+8 <= width; j += 8 {
		vectorTranspose(depth, panel[j:], src[j*w.ldb:], w.ldb)
	}
	if j < width {
		transpose(width-j, depth, panel[j:], src[j*w.ldb:], w.ldb)
	}
}

// packA copies a block of op(A), where A is stored as its transpose, to strips of stripRows each,
// column by column.
func (w *worker) packA(b block) {
	whole := b.rows / maxRows * maxRows
	if b.rows-whole == 2 && whole > 0 {
		whole -= maxRows // for two strips of four
	}
	src := w.a[b.p*w.lda+b.i:]
	if whole > 0 {
		w.copyTiles(maxRows, w.strips, src, w.lda, b.depth, whole)
	}
	for r := whole; r < b.rows; {
		rows := stripRows(b.rows - r)
		for q := range b.depth {
			copy(w.strips[r*b.depth+q*rows:][:rows], src[q*w.lda+r:])
		}
		r += rows
	}
}

// copyTiles copies rows x cols values, ld apart, to tiles that are width columns wide each and
// rows high.
func (w *worker) copyTiles(width int, dst, src []float32, ld, rows, cols int) {
	for r := 0; r < rows; r += packRows {
		n := min(packRows, rows-r)
		if w.vector {
			vectorCopyTiles(width, dst[r*width:], rows*width, src[r*ld:], ld, n, cols)
		} else {
			copyTiles(width, dst[r*width:], rows*width, src[r*ld:], ld, n, cols)
		}
	}
}

// copyTiles copies rows x cols values, ld apart, to tiles that lie stride apart.
func copyTiles(width int, dst []float32, stride int, src []float32, ld, rows, cols int) {
	for q := 0; q < cols; q += width {
		for r := range rows {
			copy(dst[q/width*stride+r*width:][:width], src[r*ld+q:])
		}
	}
}

// transpose copies rows of cols values, ld apart, to columns of a panel.
func transpose(rows, cols int, panel, src []float32, ld int) {
	for j := range rows {
		for p, x := range src[j*ld : j*ld+cols] {
			panel[p*panelWidth+j] = x
		}
	}
}
