package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng), and the magic by which a
// section tells its byte order.
const (
	magicSection     = 0x0a0d0d0a
	blockInterface   = 1
	blockPacketOld   = 2
	blockSimple      = 3
	blockEnhanced    = 6
	byteOrderMagic   = 0x1a2b3c4d
	optionEnd        = 0
	optionResolution = 9
	optionOffset     = 14
	maxBlockBytes    = 16 << 20 // pcapng sets no limit; tcpdump's is the same
)

// ngInterface is what an interface description says of its packets.
type ngInterface struct {
	link   uint32
	snap   uint32 // 0: none
	ticks  uint64 // per second
	offset int64  // seconds added to each time
}

// ngSection is the part of a file from one section header to the next.
type ngSection struct {
	order      binary.ByteOrder
	interfaces []ngInterface
}

// pcapng reads a pcapng file. gopacket's reader is not used because it
// believes every length in the file.
func (in *foreign) pcapng() error {
	section := ngSection{order: binary.LittleEndian}
	for {
		kind, body, err := in.block(&section)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch kind {
		case blockInterface:
			err = section.describe(body)
		case blockEnhanced, blockPacketOld:
			err = in.enhanced(&section, kind, body)
		case blockSimple:
			err = in.simple(&section, body)
		}
		if err != nil {
			return err
		}
	}
}

// block reads one block; a section header starts a new section.
func (in *foreign) block(section *ngSection) (kind uint32, body []byte, err error) {
	var head [8]byte
	if err := in.readFull(head[:]); err != nil {
		return 0, nil, err
	}
	kind = section.order.Uint32(head[:])
	if kind == magicSection {
		if err := in.section(section); err != nil {
			return 0, nil, err
		}
	}
	total := section.order.Uint32(head[4:])
	if total < 12 || total%4 != 0 || total > maxBlockBytes {
		return 0, nil, damagedError(fmt.Sprintf("a block of %d bytes", total))
	}
	body = make([]byte, total-8)
	if err := in.readBody(body); err != nil {
		return 0, nil, err
	}
	end := len(body) - 4
	if again := section.order.Uint32(body[end:]); again != total {
		return 0, nil, damagedError(fmt.Sprintf("a block of %d bytes that ends as one of %d", total, again))
	}
	return kind, body[:end], nil
}

// section looks ahead at the byte order that a section header tells.
func (in *foreign) section(section *ngSection) error {
	magic, err := in.r.Peek(4)
	if err != nil {
		return errTruncated
	}
	*section = ngSection{}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(magic) == byteOrderMagic {
			section.order = order
			return nil
		}
	}
	return damagedError("a section without a byte order")
}

// describe reads an interface description.
func (s *ngSection) describe(body []byte) error {
	if len(body) < 8 {
		return damagedError("an interface description without a link type")
	}
	i := ngInterface{link: uint32(s.order.Uint16(body)), snap: s.order.Uint32(body[4:]), ticks: 1e6}
	for options := body[8:]; len(options) >= 4; {
		code, length := s.order.Uint16(options), int(s.order.Uint16(options[2:]))
		padded := (length + 3) &^ 3
		if code == optionEnd || 4+padded > len(options) {
			break
		}
		value := options[4 : 4+length]
		switch {
		case code == optionResolution && length == 1:
			ticks, ok := resolution(value[0])
			if !ok {
				return damagedError(fmt.Sprintf("an interface with time resolution %#x", value[0]))
			}
			i.ticks = ticks
		case code == optionOffset && length == 8:
			i.offset = int64(s.order.Uint64(value))
		}
		options = options[4+padded:]
	}
	s.interfaces = append(s.interfaces, i)
	return nil
}

// resolution is the ticks per second of if_tsresol: a negative power of ten,
// or of two where the high bit is set.
func resolution(v byte) (uint64, bool) {
	if v&0x80 != 0 {
		exponent := v & 0x7f
		return 1 << exponent, exponent < 63
	}
	ticks := uint64(1)
	for range v {
		if ticks > 1e18 {
			return 0, false
		}
		ticks *= 10
	}
	return ticks, true
}

// at is the time of a tick count.
func (i ngInterface) at(ticks uint64) time.Time {
	hi, lo := bits.Mul64(ticks%i.ticks, uint64(time.Second))
	nanos, _ := bits.Div64(hi, lo, i.ticks)
	return time.Unix(int64(ticks/i.ticks)+i.offset, int64(nanos))
}

// enhanced reads a packet block: interface, time, lengths, data. The old kind
// has 16 bits of interface and 16 of drops where the new has 32 of interface.
func (in *foreign) enhanced(s *ngSection, kind uint32, body []byte) error {
	if len(body) < 20 {
		return damagedError("a packet block without a header")
	}
	index := s.order.Uint32(body)
	if kind == blockPacketOld {
		index = uint32(s.order.Uint16(body))
	}
	if uint64(index) >= uint64(len(s.interfaces)) {
		return damagedError(fmt.Sprintf("a packet of interface %d of %d", index, len(s.interfaces)))
	}
	i := s.interfaces[index]
	captured := s.order.Uint32(body[12:])
	if uint64(captured) > uint64(len(body)-20) {
		return damagedError(fmt.Sprintf("a packet of %d bytes in a block of %d", captured, len(body)))
	}
	ticks := uint64(s.order.Uint32(body[4:]))<<32 | uint64(s.order.Uint32(body[8:]))
	return in.take(i.link, i.at(ticks), body[20:20+captured:20+captured], s.order.Uint32(body[16:]))
}

// simple reads a packet of the first interface, which has no time.
func (in *foreign) simple(s *ngSection, body []byte) error {
	if len(body) < 4 || len(s.interfaces) == 0 {
		return damagedError("a simple packet block without a length or an interface")
	}
	i, original := s.interfaces[0], s.order.Uint32(body)
	captured := original
	if i.snap != 0 {
		captured = min(captured, i.snap)
	}
	if uint64(captured) > uint64(len(body)-4) {
		return damagedError(fmt.Sprintf("a packet of %d bytes in a block of %d", captured, len(body)))
	}
	return in.take(i.link, time.Unix(0, 0), body[4:4+captured:4+captured], original)
}
