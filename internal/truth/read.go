package truth

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// ErrTorn says that a file's last line is cut off, as kill -9 or a power
// failure leaves it. What follows it, in further files, can be read.
var ErrTorn = errors.New("last line is cut off")

// maxLine bounds a line, in bytes; ours have about 500.
const maxLine = 64 << 10

// Read gives the records of a file, or of a directory's *.jsonl files in the
// order of their names, one after the other. A record is valid until the next.
// An error stands in the place of a record: a line that is none, or ErrTorn;
// the loop may go on after it, except after one that opening or reading a
// file gave.
func Read(path string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		files, err := Files(path)
		if err != nil {
			yield(nil, fmt.Errorf("truth %s: %w", path, err))
			return
		}
		for _, file := range files {
			if !readFile(file, yield) {
				return
			}
		}
	}
}

// Files are what Read reads, in its order.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), jsonlSuffix) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no *" + jsonlSuffix + " file in this directory")
	}
	return files, nil
}

// readFile is false where no further file is to be read.
func readFile(path string, yield func(*Record, error) bool) bool {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true // rotated away meanwhile
	}
	if err != nil {
		yield(nil, fmt.Errorf("truth: %w", err))
		return false
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, maxLine)
	var r Record
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return true
		case err == io.EOF:
			return yield(nil, fmt.Errorf("truth %s: line %d: %w", path, n, ErrTorn))
		case err == bufio.ErrBufferFull:
			yield(nil, fmt.Errorf("truth %s: line %d: longer than %d bytes: this is no file of truth records", path, n, maxLine))
			return false
		case err != nil:
			yield(nil, fmt.Errorf("truth: %w", err))
			return false
		}
		r = Record{}
		if err := json.Unmarshal(line, &r); err != nil {
			if !yield(nil, fmt.Errorf("truth %s: line %d: %w", path, n, err)) {
				return false
			}
			continue
		}
		if !yield(&r, nil) {
			return false
		}
	}
}
