package member

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/wholefile"
)

// cursor is a place in a truth directory: between two lines of a file. The zero cursor is before all of them.
type cursor struct {
	file   string // its name
	offset int64  // bytes
	number int    // the file's
	began  time.Time
}

// String is the cursor as fleet.CursorHeader has it.
func (c cursor) String() string { return c.file + ":" + strconv.FormatInt(c.offset, 10) }

func parseCursor(text string) (cursor, error) {
	file, offset, _ := strings.Cut(text, ":")
	number, began, ok := truth.RecordsFile(file)
	n, err := strconv.ParseInt(offset, 10, 64)
	if !ok || err != nil || n < 0 || strconv.FormatInt(n, 10) != offset {
		return cursor{}, fmt.Errorf("%s %.100q: must be FILE:OFFSET, such as %q", fleet.CursorHeader, text, "00000001-20260102T030405Z.jsonl:4096")
	}
	return cursor{file: file, offset: n, number: number, began: began}, nil
}

// maxCursor bounds a cursor's text, in bytes.
const maxCursor = 200

// loadCursor reads what saveCursor has kept: a cursor, and the sequence in the hub's stream of the batch that ends there; the
// zero ones where there is none.
func loadCursor(path string) (c cursor, seq uint64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return cursor{}, 0, nil
	}
	if err != nil {
		return cursor{}, 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCursor))
	if err != nil {
		return cursor{}, 0, err
	}
	at, after, found := strings.Cut(strings.TrimSpace(string(text)), " ")
	c, err = parseCursor(at)
	if err == nil && found {
		seq, err = strconv.ParseUint(after, 10, 64)
	}
	if err != nil {
		return cursor{}, 0, fmt.Errorf("%s: %w", path, err)
	}
	return c, seq, nil
}

func saveCursor(path string, c cursor, seq uint64) error {
	return wholefile.Write(path, 0o640, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, c, seq)
		return err
	})
}
