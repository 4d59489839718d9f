package sgemm

// How much of a product is worked on at a time. A strip of A (6 x 384 values, 9 KB) stays in the
// first cache (32 KB) while it meets every panel of a block of B (384 x 128 values, 192 KB), which
// stays in the second (512 KB) beside the one that comes next. Tried on Zen 3: 192 to 512 deep
// (256 is bad where A's rows lie 4 KB apart), 128 to 384 KB.
const (
	maxRows    = 6         // rows of a strip
	panelWidth = 16        // columns of a panel
	maxDepth   = 384       // products in a block's sum
	maxB       = 384 * 128 // values of B in a block
	maxA       = 1 << 20   // values of A in a block, if A has to be packed: 4 MB, for the third cache

	fewRows     = 128 // up to here A fits the caches, and it is B that has to be fetched ahead
	inPlaceRows = 12  // up to here packing B costs more than it gains,
	nearbyRows  = 24  // or up to here if B's rows lie at most
	nearby      = 256 // values apart
)

// A block is rows x width values of C at (i, j), and the depth products of their sums from p on.
type block struct {
	i, j, p            int
	rows, width, depth int
}

// worker solves problems on one thread.
type worker struct {
	ctx   *Context
	start func() // take, bound once: so to start it in a goroutine allocates nothing

	problem
	strip  strip
	panels []float32 // packed B
	strips []float32 // packed A
	tile   [maxRows * panelWidth]float32
}

func newWorker(ctx *Context) *worker {
	w := &worker{ctx: ctx}
	w.start = w.take
	return w
}

// solve adds up C in blocks of the sum, from left to right: the order, and with it every
// rounding, is the same for each value of C and depends on k alone.
func (w *worker) solve(p problem) {
	w.problem = p
	depth := equalPart(w.k, maxDepth, 8)
	width := equalPart(w.n, maxB/depth, panelWidth)
	rows := w.m
	if w.transA {
		rows = equalPart(w.m, maxA/depth, maxRows)
	}
	w.panels = atLeast(w.panels, depth*width)
	w.strips = atLeast(w.strips, depth*(pick(w.transA, rows, 0)+maxRows))
	w.strip.alpha, w.strip.beta = w.alpha, w.beta
	for p := 0; p < w.k; p += depth {
		for i := 0; i < w.m; i += rows {
			w.addColumns(block{i: i, p: p, rows: min(rows, w.m-i), depth: min(depth, w.k-p)}, width)
		}
		w.strip.beta = 1
	}
	w.problem, w.strip = problem{}, strip{} // let go of the caller's memory
}

// addColumns adds the blocks of some rows of C, width columns at a time.
func (w *worker) addColumns(b block, width int) {
	if w.transA {
		w.packA(b)
	}
	for ; b.j < w.n; b.j += width {
		b.width = min(width, w.n-b.j)
		w.add(b)
	}
}

// add adds a block to C, strip by strip.
func (w *worker) add(b block) {
	w.packB(b)
	w.strip.k = b.depth
	if w.transA || w.m <= fewRows {
		w.aheadB(b)
	}
	for r := 0; r < b.rows; {
		rows := stripRows(b.rows - r)
		w.setA(b, r, rows)
		w.addStrip(b, w.c[(b.i+r)*w.ldc+b.j:], rows)
		r += rows
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

// setA points the strip at its rows of op(A), r of them into the block. They are read in place
// unless they were packed; if they are too few for a tile, a copy has room for those beyond.
func (w *worker) setA(b block, r, rows int) {
	s := &w.strip
	if w.transA {
		s.a, s.rowA, s.colA = w.strips[r*b.depth:], 1, rows
		return
	}
	s.a, s.rowA, s.colA = w.a[(b.i+r)*w.lda+b.p:], w.lda, 1
	if rows != 4 && rows != maxRows {
		for i := range rows {
			copy(w.strips[i*b.depth:], s.a[i*w.lda:i*w.lda+b.depth])
		}
		s.a, s.rowA = w.strips, b.depth
	}
	if w.m > fewRows { // see add
		s.ahead.set(w.a, (b.i+r+rows)*w.lda+b.p, rows, b.depth, w.lda)
	}
}

// setB points the strip at the block's panel from column q on.
func (w *worker) setB(b block, q int) {
	s := &w.strip
	if w.inPlaceB() && q+panelWidth <= b.width {
		s.b, s.rowB, s.skipB = w.b[b.p*w.ldb+b.j+q:], w.ldb, panelWidth-b.depth*w.ldb
		return
	}
	s.b, s.rowB, s.skipB = w.panels[q*b.depth:], panelWidth, 0
}

func (w *worker) inPlaceB() bool {
	return !w.transB && (w.m <= inPlaceRows || w.m <= nearbyRows && w.ldb <= nearby)
}

// aheadB has the next block of B prefetched.
func (w *worker) aheadB(b block) {
	j, p := b.j+b.width, b.p
	if j >= w.n {
		j, p = 0, p+b.depth
	}
	rows, cols, at := b.depth, b.width, p*w.ldb+j
	if w.transB {
		rows, cols, at = cols, rows, j*w.ldb+p
	}
	if p >= w.k {
		rows = 0
	}
	w.strip.ahead.set(w.b, at, rows, cols, w.ldb)
}

// addStrip adds to rows x b.width values of C.
func (w *worker) addStrip(b block, c []float32, rows int) {
	s := &w.strip
	s.rows = pick(rows <= 4, 4, maxRows)
	q := 0
	if rows == s.rows && b.width >= panelWidth {
		w.setB(b, 0)
		s.c, s.ldc, s.panels = c, w.ldc, b.width/panelWidth
		w.multiply()
		q = s.panels * panelWidth
	}
	for ; q < b.width; q += panelWidth {
		w.setB(b, q)
		w.addTile(c[q:], rows, min(panelWidth, b.width-q))
	}
}

// addTile adds to rows x cols values of C, less than a tile, by way of one.
func (w *worker) addTile(c []float32, rows, cols int) {
	s := &w.strip
	s.c, s.ldc, s.panels = w.tile[:], panelWidth, 1
	for i := range rows {
		copy(w.tile[i*panelWidth:], c[i*w.ldc:i*w.ldc+cols])
	}
	w.multiply()
	for i := range rows {
		copy(c[i*w.ldc:i*w.ldc+cols], w.tile[i*panelWidth:])
	}
}

func (w *worker) multiply() {
	if w.vector {
		vectorStrip(&w.strip)
		return
	}
	portableStrip(&w.strip)
}

func atLeast(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}
