package verify

// framings builds the table by which the matcher finds where an HTTP/1 response ends (bpf/framing.h, RFC 9112): what
// state follows a state and a byte. The lengths themselves are the matcher's.
type framings struct {
	table *matchAutomaton
	last  matchFraming // the newest state
}

// framingTable is the whole table. Of what it cannot make out it says that the
// response is open: then only the peer's closing ends it.
func framingTable() *matchAutomaton {
	f := &framings{table: &matchAutomaton{}, last: matchFramingFRAMING_OTHER - 1}
	const open, done = matchFramingFRAMING_OPEN, matchFramingFRAMING_DONE
	f.all(open, open)
	f.all(done, done)
	chunked := f.head(matchFramingFRAMING_SIZE)
	unknown := f.head(open)
	f.head(done, matchFramingFRAMING_BODILESS)
	length := f.head(matchFramingFRAMING_BODY)
	f.header(length, "transfer-encoding:", f.coding(chunked, unknown))
	plain := f.head(open, matchFramingFRAMING_HEAD)
	f.header(plain, "transfer-encoding:", f.coding(chunked, unknown))
	f.header(plain, "content-length:", f.length(length, unknown))
	f.chunks()
	return f.table
}

// state makes a new one, all of whose bytes lead to next.
func (f *framings) state(next matchFraming) matchFraming {
	f.last++
	f.all(f.last, next)
	return f.last
}

// all has every byte lead from a state to next.
func (f *framings) all(from, next matchFraming) {
	for b := range 256 {
		f.table.Next[int(from)*256+b] = uint8(next)
	}
}

// on has some bytes lead elsewhere.
func (f *framings) on(from matchFraming, bytes string, next matchFraming) {
	for i := range len(bytes) {
		f.table.Next[int(from)*256+int(bytes[i])] = uint8(next)
	}
}

// lines are the states of a head of which the same is known throughout.
type lines struct {
	start matchFraming // at the beginning of a line
	rest  matchFraming // in a line that says nothing to us
}

// head makes the states of a head with end behind its empty line. They are entered with the status line, at first.
func (f *framings) head(end matchFraming, first ...matchFraming) lines {
	rest := f.state(0)
	f.all(rest, rest)
	empty := f.state(rest) // behind the carriage return of an empty line
	f.on(empty, "\n", end)
	start := f.state(rest)
	f.on(start, "\r", empty)
	f.on(start, "\n", end)
	f.on(rest, "\n", start)
	for _, s := range first {
		copy(f.row(s), f.row(rest))
	}
	return lines{start, rest}
}

func (f *framings) row(s matchFraming) []uint8 {
	return f.table.Next[int(s)*256 : int(s+1)*256]
}

// header has the value of a header lead to a state. Names begin with different letters: no two share a state.
func (f *framings) header(l lines, name string, value matchFraming) {
	at := l.start
	for i := range len(name) {
		next := value
		if i < len(name)-1 {
			next = f.state(l.rest)
			f.on(next, "\n", l.start)
		}
		f.on(at, eitherCase(name[i]), next)
		at = next
	}
}

// eitherCase is a byte, as a letter in both cases.
func eitherCase(b byte) string {
	if b >= 'a' && b <= 'z' {
		return string([]byte{b, b - 'a' + 'A'})
	}
	return string(b)
}

const digits = "0123456789"

// length is the state before the value of Content-Length: a number, or the length is unknown.
func (f *framings) length(known, unknown lines) matchFraming {
	before := f.state(unknown.rest)
	f.on(before, " \t", before)
	f.on(before, "\n", unknown.start)
	f.on(before, digits, matchFramingFRAMING_DIGIT)
	behind := f.state(unknown.rest)
	f.on(behind, " \t\r", behind)
	f.on(behind, "\n", known.start)
	copy(f.row(matchFramingFRAMING_DIGIT), f.row(behind))
	f.on(matchFramingFRAMING_DIGIT, digits, matchFramingFRAMING_DIGIT)
	return before
}

// coding is the state before the value of Transfer-Encoding: its last coding must be "chunked".
func (f *framings) coding(chunked, unknown lines) matchFraming {
	const name = "chunked"
	other := f.state(0)
	f.all(other, other)
	f.on(other, "\n", unknown.start)
	before := f.state(other)
	f.on(before, " \t,", before)
	f.on(before, "\n", unknown.start)
	f.on(other, ",", before)
	at := before
	for i := range len(name) {
		next := f.state(other)
		f.on(next, ",", before)
		f.on(next, "\n", unknown.start)
		f.on(at, eitherCase(name[i]), next)
		at = next
	}
	f.on(at, " \t\r", at)
	f.on(at, "\n", chunked.start)
	return before
}

// chunks are the states of a body in chunks (RFC 9112, 7.1).
func (f *framings) chunks() {
	const (
		open    = matchFramingFRAMING_OPEN
		size    = matchFramingFRAMING_SIZE
		hex     = matchFramingFRAMING_HEX
		chunk   = matchFramingFRAMING_CHUNK
		trailer = matchFramingFRAMING_TRAILER
		anyHex  = digits + "abcdefABCDEF"
	)
	f.all(size, open)
	f.on(size, anyHex, hex)
	extension := f.state(0)
	f.all(extension, extension)
	f.on(extension, "\n", chunk)
	f.all(hex, open)
	f.on(hex, "\r; \t", extension)
	f.on(hex, "\n", chunk)
	f.on(hex, anyHex, hex)
	ended := f.state(open)
	f.on(ended, "\n", size)
	f.all(matchFramingFRAMING_CHUNKED, open)
	f.on(matchFramingFRAMING_CHUNKED, "\r", ended)
	f.on(matchFramingFRAMING_CHUNKED, "\n", size)
	field := f.state(0)
	f.all(field, field)
	f.on(field, "\n", trailer)
	last := f.state(open)
	f.on(last, "\n", matchFramingFRAMING_DONE)
	f.all(trailer, field)
	f.on(trailer, "\r", last)
	f.on(trailer, "\n", matchFramingFRAMING_DONE)
}
