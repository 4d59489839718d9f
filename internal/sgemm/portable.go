package sgemm

// A strip of C: rows x (panels*panelWidth) values, to which one block of the sum is added.
type strip struct {
	rows, panels, k int       // k is the number of products in the block's sum
	a               []float32 // A's value (i, p) is a[i*rowA+p*colA]
	rowA, colA      int
	b               []float32 // a panel's value (p, j) is b[p*rowB+j] ...
	rowB, skipB     int       // ... and b[k*rowB+skipB:] is the next panel
	c               []float32 // C's value (i, j) is c[i*ldc+j]
	ldc             int
	alpha, beta     float32
	ahead           region
}

// portableStrip sets C = alpha*A*B + beta*C for the strip; beta = 0 does not read C.
func portableStrip(s *strip) {
	for panel := range s.panels {
		b := s.b[panel*(s.k*s.rowB+s.skipB):]
		for i := range s.rows {
			var sum [panelWidth]float32
			for p := range s.k {
				addProducts(&sum, s.a[i*s.rowA+p*s.colA], (*[panelWidth]float32)(b[p*s.rowB:]))
			}
			s.finish(&sum, (*[panelWidth]float32)(s.c[i*s.ldc+panel*panelWidth:]))
		}
	}
}

func addProducts(sum *[panelWidth]float32, x float32, b *[panelWidth]float32) {
	for j := range sum {
		sum[j] += x * b[j]
	}
}

// finish sets a row of C from its sum.
func (s *strip) finish(sum, c *[panelWidth]float32) {
	for j, x := range sum {
		if s.beta == 0 {
			c[j] = s.alpha * x
		} else {
			c[j] = s.alpha*x + s.beta*c[j]
		}
	}
}

// A region of memory that will be read soon: the kernels prefetch it bit by bit while they
// multiply. Offsets are in bytes.
type region struct {
	from         []float32
	next, rowEnd int // offsets of the next line and of the end of its row
	gap, stride  int // bytes from the end of a row to the next, and from row to row
	rows         int // rows left
}

// set makes it rows x cols values of x, from at on, with ld from row to row; none if that is
// beyond x.
func (r *region) set(x []float32, at, rows, cols, ld int) {
	if at >= len(x) {
		*r = region{from: x, rowEnd: 64}
		return
	}
	*r = region{from: x[at:], next: 0, rowEnd: 4 * cols, gap: 4 * (ld - cols), stride: 4 * ld, rows: rows}
}
