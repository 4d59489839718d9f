package model

import "strconv"

// Derivation says what a [SlotDerived] writes: what other slots write, or how many bytes that is, in this or
// another form. Protocols repeat themselves: a port stands in the header and as text in a message, one number in
// decimal and in hex, a length before what it counts.
type Derivation struct {
	From, Slots int32 // the slots read: Slots of them, from slot From on
	Read, Write Form
	Add         int32 // to a number, modulo 2^64
}

// Form is how bytes are read or written. All but FormRaw and FormLength are forms of numbers.
type Form int32

// The forms.
const (
	FormRaw      Form = iota // the bytes as they are
	FormBinary               // big-endian
	FormDecimal              // digits as text
	FormHex                  // digits as text, lower case
	FormHexUpper             // digits as text, upper case
	FormDotted2              // bytes in decimal, dots between them: two, three or four
	FormDotted3
	FormDotted4
	FormLength // read only: the number of bytes
	forms
)

// longestNumber is the number of bytes that a number is written in at most.
const longestNumber = 20

// Number reads b. What is no digit counts by its code: the forms that training found never meet that.
func (f Form) Number(b []byte) (n uint64) {
	part := uint64(0)
	switch f {
	case FormLength:
		return uint64(len(b))
	case FormBinary:
		for _, x := range b {
			n = n<<8 | uint64(x)
		}
	case FormDecimal:
		for _, x := range b {
			n = n*10 + uint64(x-'0')
		}
	case FormHex, FormHexUpper:
		for _, x := range b {
			if x > '9' {
				x = x&^0x20 - 'A' + 10 + '0'
			}
			n = n<<4 | uint64(x-'0')
		}
	default:
		for _, x := range b {
			if x == '.' {
				n, part = n<<8|part, 0
				continue
			}
			part = part*10 + uint64(x-'0')
		}
		n = n<<8 | part
	}
	return n
}

// Append appends n to dst: its last size digits (bytes of FormBinary), zeros before them where it has fewer; with size
// 0, as many as it has.
func (f Form) Append(dst []byte, n uint64, size int) []byte {
	base := uint64(10)
	digits := "0123456789abcdef"
	switch f {
	case FormBinary:
		base = 1 << 8
	case FormDecimal:
	case FormHex:
		base = 16
	case FormHexUpper:
		base, digits = 16, "0123456789ABCDEF"
	default:
		for at := 8 * f.dots(); at >= 0; at -= 8 {
			dst = strconv.AppendUint(dst, n>>at&0xff, 10)
			if at > 0 {
				dst = append(dst, '.')
			}
		}
		return dst
	}
	if size == 0 {
		size = 1
		for rest := n / base; rest > 0; rest /= base {
			size++
		}
	}
	start := len(dst)
	for range size {
		dst = append(dst, 0)
	}
	for at := len(dst) - 1; at >= start; at-- {
		dst[at] = byte(n % base)
		if f != FormBinary {
			dst[at] = digits[n%base]
		}
		n /= base
	}
	return dst
}

// dots is the number of dots of a dotted form.
func (f Form) dots() int { return int(f-FormDotted2) + 1 }

// derive writes a derived slot to the draft's own text, and sets its value to the number of bytes. The slots that it
// reads are set.
func (d *Draft) derive(slot int) {
	s := &d.forest.Slots[slot]
	r := &d.forest.Derived[s.Word]
	from, end := int(r.From), int(r.From+r.Slots)
	begin := len(d.text)
	if r.Read == FormLength {
		n := 0
		for i := from; i < end; i++ {
			n += d.size(i)
		}
		d.text = r.Write.Append(d.text, uint64(n)+uint64(r.Add), int(s.Size))
	} else {
		for i := from; i < end; i++ {
			d.text = d.appendSlot(d.text, i, 0)
		}
		if r.Read != FormRaw {
			n := r.Read.Number(d.text[begin:]) + uint64(r.Add)
			d.text = r.Write.Append(d.text[:begin], n, int(s.Size))
		}
	}
	for len(d.text) < begin+int(s.Size) { // of a file made by hand: what is copied is shorter than it says
		d.text = append(d.text, 0)
	}
	if s.Size > 0 {
		d.text = d.text[:begin+int(s.Size)]
	}
	d.texts[slot] = int32(begin)
	d.values[slot] = uint16(len(d.text) - begin)
}

// written is what was written to the draft's own text for a slot.
func (d *Draft) written(slot int) []byte {
	begin := int(d.texts[slot])
	return d.text[begin : begin+int(d.values[slot])]
}
