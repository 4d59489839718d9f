package sgemm

// packB copies rows x cols of op(B), from (p, j) on, to panels of panelWidth columns, row by row;
// the last panel is padded with zeros.
func (w *worker) packB(p, j, rows, cols int) {
	for left := cols; left > 0; left -= panelWidth {
		panel := w.panels[(cols-left)*rows : (cols-left+panelWidth)*rows]
		width := min(left, panelWidth)
		if width < panelWidth {
			clear(panel)
		}
		if w.transB {
			w.packTransposed(panel, w.b[(j+cols-left)*w.ldb+p:], rows, width)
		} else {
			packRows(panel, w.b[p*w.ldb+j+cols-left:], w.ldb, rows, width)
		}
	}
}

func packRows(panel, b []float32, ldb, rows, width int) {
	if width < panelWidth {
		for p := range rows {
			copy(panel[p*panelWidth:], b[p*ldb:p*ldb+width])
		}
		return
	}
	for p := range rows {
		*(*[panelWidth]float32)(panel[p*panelWidth:]) = [panelWidth]float32(b[p*ldb:])
	}
}

func (w *worker) packTransposed(panel, b []float32, rows, width int) {
	j := 0
	for ; w.vector && j+8 <= width; j += 8 {
		vectorTranspose(rows, panel[j:], b[j*w.ldb:], w.ldb)
	}
	if j < width {
		transpose(width-j, rows, panel[j:], b[j*w.ldb:], w.ldb)
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

// packA copies cols columns of op(A), from (i, p) on, where A is stored as its transpose, to
// strips of stripRows each, column by column.
func (w *worker) packA(i, p, rows, cols int) {
	whole := rows / maxRows * maxRows
	if rest := rows - whole; rest == 2 && whole > 0 {
		whole -= maxRows
	}
	for q := range cols {
		src := w.a[(p+q)*w.lda+i:][:rows]
		for r := 0; r < whole; r += maxRows {
			*(*[maxRows]float32)(w.strips[r*cols+q*maxRows:]) = [maxRows]float32(src[r:])
		}
		for r := whole; r < rows; {
			h := stripRows(rows - r)
			copy(w.strips[r*cols+q*h:][:h], src[r:])
			r += h
		}
	}
}
