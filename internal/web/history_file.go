package web

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"
	"time"

	"pacgan-appliance/internal/wholefile"
)

// The file: a page with magic and version, then for each of Spans a ring of
// records, at the place that their time gives them.
//
// A record: CRC-32C of the rest (4 bytes), number of cells (4), start (8, Unix
// seconds), then for each label that had packets a cell: hash of its name (8)
// and Ends (8 x 4). All little-endian. The hash names the label
// by itself: there is no table of labels that could disagree with it.
const (
	historyMagic   = "PACGHIST"
	historyVersion = 1
	headerSize     = 4096
	// recordSize divides the page: no record lies in two, so that a disk that
	// loses power tears at most one of each span.
	recordSize   = 2048
	recordHeader = 16
	cellSize     = 8 + 8*4
	maxCells     = (recordSize - recordHeader) / cellSize // 50; a config has at most 32 labels
)

// createHistory makes the file aside and renames it.
func createHistory(path string) error {
	image := make([]byte, historySize())
	copy(image, historyMagic)
	binary.LittleEndian.PutUint32(image[len(historyMagic):], historyVersion)
	return wholefile.Write(path, 0o600, func(w io.Writer) error { _, err := w.Write(image); return err })
}

// readHistory reads the file's image and wipes records that are torn.
func readHistory(file *os.File) ([]byte, error) {
	image := make([]byte, historySize())
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, int64(len(image))), image); err != nil {
		return nil, fmt.Errorf("not a whole history (%w): move it away and start again", err)
	}
	if string(image[:len(historyMagic)]) != historyMagic {
		return nil, fmt.Errorf("not a history: move it away and start again")
	}
	if v := binary.LittleEndian.Uint32(image[len(historyMagic):]); v != historyVersion {
		return nil, fmt.Errorf("format %d, this program has %d: move it away and start again", v, historyVersion)
	}
	for at := headerSize; at < len(image); at += recordSize {
		if rec := record(image[at : at+recordSize]); !rec.valid() {
			rec.reset(0)
		}
	}
	return image, nil
}

// historySize is the file's size in bytes.
func historySize() int {
	size := headerSize
	for _, s := range Spans() {
		size += s.Points * recordSize
	}
	return size
}

// slot is the place in its ring of the record that covers t.
func slot(span Span, t time.Time) int {
	step := int64(span.Step / time.Second)
	i := int(t.Unix() / step % int64(span.Points))
	return max(i, 0) // before 1970 all is one slot
}

func hashOf(label string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, label) // never fails
	return h.Sum64()
}

// record is one record's bytes.
type record []byte

func (r record) cells() int   { return int(binary.LittleEndian.Uint32(r[4:])) }
func (r record) start() int64 { return int64(binary.LittleEndian.Uint64(r[8:])) }
func (r record) checksum() uint32 {
	return crc32.Checksum(r[4:], crc32.MakeTable(crc32.Castagnoli))
}

// valid is false for a torn record and for one that was never written.
func (r record) valid() bool {
	return binary.LittleEndian.Uint32(r) == r.checksum() && r.cells() <= maxCells
}

func (r record) seal() { binary.LittleEndian.PutUint32(r, r.checksum()) }

// reset empties the record.
func (r record) reset(start int64) {
	clear(r)
	binary.LittleEndian.PutUint64(r[8:], uint64(start))
}

// find is the label's cell, or nil.
func (r record) find(label uint64) []byte {
	for i := range r.cells() {
		if c := r[recordHeader+i*cellSize:][:cellSize]; binary.LittleEndian.Uint64(c) == label {
			return c
		}
	}
	return nil
}

// ends reads a label's counts, zero where it has none.
func (r record) ends(label uint64) Ends {
	var e Ends
	if c := r.find(label); c != nil {
		for i, field := range e.fields() {
			*field = binary.LittleEndian.Uint32(c[8+4*i:])
		}
	}
	return e
}

// add adds to a label's cell. Where the record is full, as it may be for an
// hour in which the labels were renamed again and again, the label is left out.
func (r record) add(label uint64, grown Ends) {
	c := r.find(label)
	if c == nil {
		n := r.cells()
		if n == maxCells {
			return
		}
		binary.LittleEndian.PutUint32(r[4:], uint32(n+1))
		c = r[recordHeader+n*cellSize:][:cellSize]
		binary.LittleEndian.PutUint64(c, label)
	}
	e := r.ends(label)
	e.add(grown)
	for i, field := range e.fields() {
		binary.LittleEndian.PutUint32(c[8+4*i:], *field)
	}
}
