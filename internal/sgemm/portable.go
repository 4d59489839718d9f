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
		for j := 0; j < panelWidth; j += 4 {
			for i := 0; i < s.rows; i += 2 {
				row0, row1 := s.sums(s.a[i*s.rowA:], b[j:])
				c := s.c[i*s.ldc+panel*panelWidth+j:]
				s.finish(&row0, (*[4]float32)(c))
				s.finish(&row1, (*[4]float32)(c[s.ldc:]))
			}
		}
	}
}

// sums adds up 2 x 4 values of A*B, as many as the registers of most processors hold.
func (s *strip) sums(a, b []float32) (row0, row1 [4]float32) {
	var s0, s1, s2, s3, t0, t1, t2, t3 float32
	a1 := a[s.rowA:]
	for i, j := 0, 0; j < s.k*s.rowB; i, j = i+s.colA, j+s.rowB {
		x, y, row := a[i], a1[i], (*[4]float32)(b[j:])
		s0, t0 = s0+x*row[0], t0+y*row[0]
		s1, t1 = s1+x*row[1], t1+y*row[1]
		s2, t2 = s2+x*row[2], t2+y*row[2]
		s3, t3 = s3+x*row[3], t3+y*row[3]
	}
	return [4]float32{s0, s1, s2, s3}, [4]float32{t0, t1, t2, t3}
}

// finish sets four values of C from their sums.
func (s *strip) finish(sums, c *[4]float32) {
	for j, x := range sums {
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
