package sgemm

const packRows = 8 // rows that are copied at a time: so many lines share a set of the first cache

// packB copies rows x cols of op(B), from (p, j) on, to panels of panelWidth columns, row by row;
// the last panel is padded with zeros.
func (w *worker) packB(p, j, rows, cols int) {
	whole := cols / panelWidth * panelWidth
	if whole < cols {
		clear(w.panels[whole*rows : (whole+panelWidth)*rows])
	}
	if w.transB {
		for q := 0; q < cols; q += panelWidth {
			w.packTransposed(w.panels[q*rows:], w.b[(j+q)*w.ldb+p:], rows, min(panelWidth, cols-q))
		}
		return
	}
	b := w.b[p*w.ldb+j:]
	if whole > 0 {
		for r := 0; r < rows; r += packRows {
			pack16(whole/panelWidth, min(packRows, rows-r), &w.panels[r*panelWidth], panelWidth*rows, &b[r*w.ldb], w.ldb)
		}
	}
	if whole < cols {
		for r := range rows {
			copy(w.panels[whole*rows+r*panelWidth:], b[r*w.ldb:][whole:cols])
		}
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
	if whole > 0 {
		for q := 0; q < cols; q += packRows {
			pack6(whole/maxRows, min(packRows, cols-q), &w.strips[q*maxRows], maxRows*cols, &w.a[(p+q)*w.lda+i], w.lda)
		}
	}
	for q := range cols {
		src := w.a[(p+q)*w.lda+i:][:rows]
		for r := whole; r < rows; {
			h := stripRows(rows - r)
			copy(w.strips[r*cols+q*h:][:h], src[r:])
			r += h
		}
	}
}
