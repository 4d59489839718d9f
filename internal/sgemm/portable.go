package sgemm

// A strip of C: rows x (panels*panelWidth) values, to which one block of the sum is added.
type strip struct {
	rows, panels, k      int       // k is the number of products in the block's sum
	a                    []float32 // A's value (i, p) is a[i*rowStride+p*colStride]
	rowStride, colStride int
	next                 []float32 // where A's next strip begins, to prefetch it
	b                    []float32 // packed B: panels of k rows of panelWidth values
	c                    []float32 // C's value (i, j) is c[i*ldc+j]
	ldc                  int
	alpha, beta          float32
}

// portableStrip sets C = alpha*A*B + beta*C for the strip; beta = 0 does not read C.
func portableStrip(s *strip) {
	for panel := range s.panels {
		b := s.b[panel*s.k*panelWidth : (panel+1)*s.k*panelWidth]
		for i := range s.rows {
			var sum [panelWidth]float32
			addProducts(&sum, s.a[i*s.rowStride:], s.colStride, b)
			s.finish(&sum, s.c[i*s.ldc+panel*panelWidth:])
		}
	}
}

// addProducts adds a row of A times a panel of B.
func addProducts(sum *[panelWidth]float32, a []float32, stride int, b []float32) {
	for p := 0; len(b) >= panelWidth; p++ {
		x, row := a[p*stride], (*[panelWidth]float32)(b)
		for j := range sum {
			sum[j] += x * row[j]
		}
		b = b[panelWidth:]
	}
}

func (s *strip) finish(sum *[panelWidth]float32, c []float32) {
	row := (*[panelWidth]float32)(c)
	for j, x := range sum {
		if s.beta == 0 {
			row[j] = s.alpha * x
		} else {
			row[j] = s.alpha*x + s.beta*row[j]
		}
	}
}
