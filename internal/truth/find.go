package truth

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrNotFound says that no record has the UUID that was looked for.
var ErrNotFound = errors.New("no record has this uuid")

// Find reads the record with a UUID, from a file or a directory's.
func Find(path string, u UUID) (*Record, error) {
	files, err := Files(path)
	if err != nil {
		return nil, fmt.Errorf("truth %s: %w", path, err)
	}
	text, _ := u.AppendText(nil) // has no error
	for _, file := range files {
		r, err := findIn(file, text)
		if r != nil || err != nil {
			return r, err
		}
	}
	return nil, fmt.Errorf("truth %s: %s: %w: old ones go first where truth.max_bytes is reached", path, u, ErrNotFound)
}

// findIn looks for the text, and decodes only lines that hold it.
func findIn(path string, text []byte) (*Record, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // rotated away meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("truth: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), text) {
			continue
		}
		r := new(Record)
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return nil, fmt.Errorf("truth %s: the record's line: %w", path, err)
		}
		return r, nil
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("truth %s: %w", path, err)
	}
	return nil, nil
}

// WritePacket writes a record's packet as a pcapng file of its own, as it is
// written beside the record.
func WritePacket(w io.Writer, r *Record, ip []byte) error {
	var file pcapng
	_, err := w.Write(file.append(nil, r, ip))
	return err
}
