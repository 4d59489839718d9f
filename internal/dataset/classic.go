package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Magic numbers of classic pcap (draft-ietf-opsawg-pcap) and of Kuznetzov's
// variant of it.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

// classic reads a pcap file. It takes frames longer than the header's snap
// length, as libpcap does, since some writers put a wrong one there.
func (in *foreign) classic(order binary.ByteOrder, nano bool) error {
	header := make([]byte, fileHeaderBytes)
	if err := in.readBody(header); err != nil {
		return err
	}
	// The high bits tell of a frame check sequence (FCS), which no IP packet contains.
	link := order.Uint32(header[20:]) & 0x03ffffff
	if !knownLink(link) {
		return linkTypeError(link)
	}
	for {
		record := header[:recordHeaderBytes]
		if err := in.readFull(record); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		captured := order.Uint32(record[8:])
		if captured > maxFrameBytes {
			return damagedError(fmt.Sprintf("a record of %d bytes", captured))
		}
		data := make([]byte, captured)
		if err := in.readBody(data); err != nil {
			return err
		}
		fraction := int64(order.Uint32(record[4:]))
		if !nano {
			fraction *= int64(time.Microsecond)
		}
		at := time.Unix(int64(order.Uint32(record)), fraction)
		if err := in.take(link, at, data, order.Uint32(record[12:])); err != nil {
			return err
		}
	}
}
