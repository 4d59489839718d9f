package sgemm

// The blocks: a strip of A (6 x 256 values, 6 KB) stays in the first cache (32 KB) while it meets
// every panel of a block of B (256 x 256 values, 256 KB), which stays in the second (512 KB).
const (
	maxRows    = 6  // rows of a strip
	panelWidth = 16 // columns of a panel
	maxDepth   = 256
	blockB     = 256 * 256 // values of B in a block
	blockA     = 96 * 256  // values of a transposed A in a block
)

// A problem is one C = alpha * op(A) * op(B) + beta * C.
type problem struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    float32
	a, b, c        []float32
	lda, ldb, ldc  int
	vector         bool
}

// worker multiplies on one thread.
type worker struct {
	problem
	panels []float32 // packed B
	strips []float32 // packed A
	edge   [maxRows * panelWidth]float32
	strip  strip
}

// run adds up C in blocks of the sum, from left to right: the order, and with it every rounding,
// is the same for each value of C and depends on k alone.
func (w *worker) run() {
	depth := share(w.k, maxDepth, 8)
	width := share(w.n, blockB/depth, panelWidth)
	w.panels = atLeast(w.panels, depth*width)
	for j := 0; j < w.n; j += width {
		beta := w.beta
		for p := 0; p < w.k; p += depth {
			w.block(p, j, min(depth, w.k-p), min(width, w.n-j), beta)
			beta = 1
		}
	}
}

// block adds the products of rows p to p+depth of op(B), for the columns j to j+width.
func (w *worker) block(p, j, depth, width int, beta float32) {
	w.packB(p, j, depth, width)
	s := &w.strip
	s.k, s.alpha, s.beta = depth, w.alpha, beta
	height := w.m
	if w.transA {
		height = share(w.m, blockA/depth, maxRows)
		w.strips = atLeast(w.strips, (height+maxRows)*depth)
	}
	for i := 0; i < w.m; i += height {
		end := min(i+height, w.m)
		if w.transA {
			w.packA(i, p, end-i, depth)
		}
		for r := i; r < end; {
			rows := stripRows(end - r)
			w.setA(r, r-i, p, rows)
			w.multiplyStrip(w.c[r*w.ldc+j:], rows, width)
			r += rows
		}
	}
}

// stripRows is the height of the next strip when so many rows are left: six, or else four, as
// long as that leaves no others.
func stripRows(left int) int {
	if left == 4 || left == 8 {
		return 4
	}
	return min(left, maxRows)
}

// setA points the strip at its rows of op(A): in place where they can be read so.
func (w *worker) setA(row, packed, p, rows int) {
	s := &w.strip
	if w.transA {
		s.a, s.rowStride, s.colStride = w.strips[packed*s.k:], 1, rows
		s.next = s.a
		return
	}
	s.a, s.rowStride, s.colStride = w.a[row*w.lda+p:], w.lda, 1
	s.next = s.a
	if next := (row+rows)*w.lda + p; next < len(w.a) {
		s.next = w.a[next:]
	}
	if rows == 6 || rows == 4 {
		return
	}
	w.strips = atLeast(w.strips, maxRows*s.k)
	for i := range rows {
		for q, x := range s.a[i*w.lda : i*w.lda+s.k] {
			w.strips[i*s.k+q] = x
		}
	}
	s.a, s.rowStride = w.strips, s.k
}

// multiplyStrip adds to rows x width values of C.
func (w *worker) multiplyStrip(c []float32, rows, width int) {
	s := &w.strip
	s.rows = maxRows
	if rows <= 4 {
		s.rows = 4
	}
	whole := 0
	if rows == s.rows {
		whole = width / panelWidth
	}
	if whole > 0 {
		s.b, s.c, s.ldc, s.panels = w.panels, c, w.ldc, whole
		w.multiply()
	}
	for j := whole * panelWidth; j < width; j += panelWidth {
		w.multiplyEdge(c[j:], w.panels[j*s.k:], rows, min(panelWidth, width-j))
	}
}

// multiplyEdge adds to rows x cols values of C, less than a tile, by way of a buffer.
func (w *worker) multiplyEdge(c, b []float32, rows, cols int) {
	s := &w.strip
	s.b, s.c, s.ldc, s.panels = b, w.edge[:], panelWidth, 1
	for i := range rows {
		copy(w.edge[i*panelWidth:], c[i*w.ldc:i*w.ldc+cols])
	}
	w.multiply()
	for i := range rows {
		copy(c[i*w.ldc:i*w.ldc+cols], w.edge[i*panelWidth:])
	}
}

func (w *worker) multiply() {
	if w.vector {
		vectorStrip(&w.strip)
		return
	}
	portableStrip(&w.strip)
}

// share divides n into the fewest equal parts of at most limit, rounded up to a multiple of unit.
func share(n, limit, unit int) int {
	limit = max(limit/unit, 1)
	units := (n + unit - 1) / unit
	parts := (units + limit - 1) / limit
	return (units + parts - 1) / parts * unit
}

func atLeast(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}
