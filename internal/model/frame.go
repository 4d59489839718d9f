package model

import "fmt"

// Frame says how a [SlotChain] that is a list is cut into entries: a head that holds a length, and a value of that many
// bytes. So are the options and attributes of most protocols, in any number and any order, and what is said of a length
// holds by construction: the entry goes on for as long as it says. The zero Frame is that of a chain that is no list.
type Frame struct {
	Form   FrameForm
	Head   int // bytes before the value; of text, before the digits
	At     int // where in the head the length is, big-endian
	Size   int // bytes of the length
	Counts int // bytes that the length counts beside the value
	Align  int // entries are filled up to a multiple of so many bytes
	End    FrameEnd
}

// FrameForm is how an entry says how long it is.
type FrameForm int

// The forms of entries.
const (
	FrameNone    FrameForm = iota
	FrameBinary            // a number in the head
	FrameNibbles           // one byte: how much higher its number is than the last entry's, and the length; each may go on in one or two more bytes
	FrameDecimal           // digits and CRLF before the value, and CRLF behind it
	FrameHex
	frameForms
)

// FrameEnd is a first byte of a head that ends the list. What follows is no entry.
type FrameEnd int

// The ends of lists.
const (
	EndNone FrameEnd = iota
	EndZeros
	EndOnes
	frameEnds
)

// longestHead and longestLength bound the bytes of a head and of a length.
const longestHead, longestLength = 15, 3

// Packed is the frame as [Slot.Add].
func (f Frame) Packed() int32 {
	return int32(f.Form | FrameForm(f.Head)<<4 | FrameForm(f.At)<<8 | FrameForm(f.Size)<<12 | FrameForm(f.Counts)<<16 | FrameForm(f.Align)<<20 | FrameForm(f.End)<<24)
}

// frameOf undoes Packed.
func frameOf(n int32) Frame {
	part := func(shift int) int { return int(n>>shift) & 15 }
	return Frame{FrameForm(part(0)), part(4), part(8), part(12), part(16), part(20), FrameEnd(part(24))}
}

// validate reports what would lead a list astray.
func (f Frame) validate(packed int32) error {
	ok := f.Packed() == packed && f.Form < frameForms && f.End < frameEnds
	if f.Form == FrameBinary {
		ok = ok && f.Head <= longestHead && f.Size >= 1 && f.Size <= longestLength && f.At+f.Size <= f.Head && f.Align > 0
	}
	if !ok {
		return fmt.Errorf("entries of form %#x", packed)
	}
	return nil
}

// What the next byte of a list is: below listValue, byte so many of an entry's head.
const (
	listValue  = 16 + iota
	listFill   // behind the value, up to a multiple of Align
	listRest   // behind the list's end
	listBroken // none: the bytes are no such list
	listDigits // of a length
	listFeed   // LF behind the digits
	listReturn // CR behind the value
	listLast   // LF behind that
)

// list is where in a list its next byte stands.
type list struct {
	frame                Frame
	state                int
	key                  uint16              // of the entry: the last two bytes of its head that are not of its length
	keys                 [chainTokens]uint16 // of those before it, the last first
	firsts               [chainTokens]uint16 // of the first
	opening              uint16              // first byte of the first value
	entries, offset      int
	length, left, filled int
	delta                int    // FrameNibbles: how its number grows
	more                 [2]int // FrameNibbles: bytes of number and length that follow
}

func newList(frame Frame) list {
	l := list{frame: frame, opening: chainNone}
	for i := range l.keys {
		l.keys[i], l.firsts[i] = NoToken, NoToken
	}
	l.begin()
	return l
}

// begin begins an entry.
func (l *list) begin() {
	l.state, l.offset, l.length, l.left = 0, 0, 0, 0
	if l.frame.Form != FrameNibbles {
		l.key = 0
	}
	if (l.frame.Form == FrameDecimal || l.frame.Form == FrameHex) && l.frame.Head == 0 {
		l.state = listDigits
	}
}

// whole reports whether a list may end here.
func (l *list) whole() bool {
	return l.state == listRest || l.offset == 0 && (l.state == 0 || l.state == listDigits && l.frame.Head == 0)
}

// push goes on by a byte, and reports whether it is one of a value, or of what is no list.
func (l *list) push(b byte) (value bool) {
	switch l.state {
	case listRest, listBroken:
		return true
	case listValue:
		if l.entries == 0 && l.offset == 0 {
			l.opening = uint16(b)
		}
		l.offset++
		l.left--
		l.endValue()
		return true
	case listFill:
		l.filled--
		l.endFill()
	case listDigits:
		l.digit(b)
	case listFeed:
		l.expect(b, '\n', listValue)
		if l.state == listValue {
			l.offset = 0
			l.endValue()
		}
	case listReturn:
		l.expect(b, '\r', listLast)
	case listLast:
		l.expect(b, '\n', 0)
		if l.state == 0 {
			l.end()
		}
	default:
		l.head(b)
	}
	return false
}

func (l *list) expect(b, want byte, state int) {
	l.state = listBroken
	if b == want {
		l.state = state
	}
}

// head goes on in an entry's head.
func (l *list) head(b byte) {
	f := &l.frame
	if l.state == 0 && (f.End == EndZeros && b == 0 || f.End == EndOnes && b == 0xff) {
		l.state = listRest
		return
	}
	switch f.Form {
	case FrameNibbles:
		l.nibbles(b)
	case FrameBinary:
		if l.state >= f.At && l.state < f.At+f.Size {
			l.length = l.length<<8 | int(b)
		} else {
			l.key = l.key<<8 | uint16(b)
		}
		if l.state++; l.state == f.Head {
			l.beginValue(l.length - f.Counts)
		}
	default:
		l.key = l.key<<8 | uint16(b)
		if l.state++; l.state == f.Head {
			l.state = listDigits
		}
	}
}

// nibbles reads a byte of a head of FrameNibbles. 13 says that the number goes on in a byte, 14 in two.
func (l *list) nibbles(b byte) {
	const one, two = 13, 14
	switch {
	case l.state == 0:
		l.delta, l.length = int(b>>4), int(b&15)
		for i, n := range []int{l.delta, l.length} {
			if l.more[i] = max(0, n-one+1); n > two {
				l.state = listBroken
				return
			}
		}
		if l.more[0] > 0 {
			l.delta = 0
		}
		if l.more[1] > 0 {
			l.length = 0
		}
		l.offset = l.more[0]<<2 | l.more[1] // how long each number is, until the value begins
	case l.more[0] > 0:
		l.delta = l.delta<<8 | int(b)
		l.more[0]--
	default:
		l.length = l.length<<8 | int(b)
		l.more[1]--
	}
	l.state++
	if l.more[0]+l.more[1] > 0 {
		return
	}
	more := [3]int{0, one, 256 + one}
	l.key += uint16(l.delta + more[l.offset>>2])
	l.beginValue(l.length + more[l.offset&3])
}

// digit reads a digit of a length, or the CR behind it.
func (l *list) digit(b byte) {
	n, base := 0, 10
	if l.frame.Form == FrameHex {
		base = 16
	}
	switch {
	case b == '\r' && l.offset > 0:
		l.state, l.left = listFeed, l.length
		return
	case isDigit(b):
		n = int(b - '0')
	case base == 16 && (b|0x20) >= 'a' && (b|0x20) <= 'f':
		n = int(b|0x20) - 'a' + 10
	default:
		l.state = listBroken
		return
	}
	l.length = l.length*base + n
	if l.offset++; l.length >= Absent {
		l.state = listBroken
	}
}

// beginValue begins a value of so many bytes.
func (l *list) beginValue(n int) {
	if n < 0 {
		l.state = listBroken
		return
	}
	l.state, l.offset, l.length, l.left, l.filled = listValue, 0, n, n, 0
	if a := l.frame.Align; a > 1 {
		l.filled = (a - (l.frame.Head+n)%a) % a
	}
	l.endValue()
}

// endValue ends a value that has all its bytes.
func (l *list) endValue() {
	switch {
	case l.left > 0:
	case l.frame.Form == FrameDecimal || l.frame.Form == FrameHex:
		l.state = listReturn
	default:
		l.state = listFill
		l.endFill()
	}
}

func (l *list) endFill() {
	if l.filled == 0 {
		l.end()
	}
}

// end ends an entry.
func (l *list) end() {
	key := min(l.key, UnknownToken)
	shift(&l.keys, key)
	if l.entries < len(l.firsts) {
		l.firsts[l.entries] = key
	}
	l.entries++
	l.begin()
}

// Entries reads a list: the number of its entries, the bytes of the first, and those from the list's end on; ok is false
// where the bytes are no list.
func (f Frame) Entries(b []byte) (entries, first int, rest []byte, ok bool) {
	l := newList(f)
	for i, x := range b {
		l.push(x)
		switch {
		case l.state == listBroken:
			return l.entries, first, nil, false
		case l.state == listRest:
			return l.entries, first, b[i+1:], true
		case l.entries == 1 && first == 0:
			first = i + 1
		}
	}
	return l.entries, first, nil, l.whole()
}

// mostOfList bounds numbers that are values of a list's features.
const mostOfList = 1 << 10

// value is a feature of a list: see [Chain.Value].
func (l *list) value(feature int) uint16 {
	switch {
	case feature == chainList:
		return uint16(l.state)
	case feature == chainKey:
		return min(l.key, UnknownToken)
	case feature < chainKeys:
		return l.keys[feature-chainKey-1]
	case feature < chainOpening:
		return l.firsts[feature-chainKeys]
	case feature == chainOpening:
		return l.opening
	}
	return uint16(min([...]int{l.offset, l.length, l.left, l.entries}[feature-chainOffset], mostOfList))
}
