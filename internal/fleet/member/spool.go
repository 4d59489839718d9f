package member

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"pacgan-appliance/internal/truth"
)

// Bounds of a batch. Lines have about 600 bytes.
const (
	batchRecords = 500
	batchBytes   = 512 << 10
)

// spool reads a truth directory from a cursor on, while its files grow, are followed by others and are removed for room.
// One goroutine uses it.
type spool struct {
	dir    string
	at     cursor
	file   *os.File // of at, open for as long as it is read: its removal takes nothing away; nil: not opened yet
	files  []unsent // after at's and with it, as the last look saw them; the oldest first
	lost   int64    // bytes that were removed before they were read, since the start
	buffer []byte   // as large as the largest batch that there was
}

// unsent is a file that is not sent, or not to its end.
type unsent struct {
	cursor // its start
	bytes  int64
}

// batch is some whole lines, and where they end.
type batch struct {
	lines   []byte // valid until the next
	records int
	end     cursor
}

// seek goes on at a cursor. Where its file is no more, that is the next one; where the directory was made anew since, it
// is the oldest.
func (s *spool) seek(to cursor) error {
	if to == s.at {
		return nil
	}
	if s.file != nil && to.file != s.at.file {
		s.close()
	}
	s.at = to
	return s.look()
}

// look sees what there is: what is new, what has grown, and what was removed before it was read.
func (s *spool) look() error {
	entries, err := os.ReadDir(s.dir) // sorted by name, which begins with the number
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var all []unsent
	for _, e := range entries {
		number, began, ok := truth.RecordsFile(e.Name())
		if !ok {
			continue
		}
		all = append(all, unsent{cursor: cursor{file: e.Name(), number: number, began: began}})
	}
	was := s.files
	s.files = nil
	for _, f := range all[s.begin(all):] {
		info, err := os.Stat(filepath.Join(s.dir, f.file))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return err
		}
		f.bytes = info.Size()
		s.files = append(s.files, f)
	}
	s.countLost(was)
	return nil
}

// begin is the place in all of the first file that is not sent to its end.
func (s *spool) begin(all []unsent) int {
	next, anew := len(all), true
	for i := len(all) - 1; i >= 0; i-- {
		f := all[i]
		if f.file == s.at.file {
			return i
		}
		if f.number >= s.at.number {
			next = i
		}
		anew = anew && f.began.After(s.at.began)
	}
	if anew || next == len(all) && s.file == nil {
		return 0 // the directory was removed since, or comes from a copy: rather twice than never
	}
	return next
}

// countLost counts what was seen before and is gone. What of a removed file is open can still be read.
func (s *spool) countLost(was []unsent) {
	for _, old := range was {
		gone := old.number > s.at.number || old.file == s.at.file && s.file == nil
		for _, f := range s.files {
			gone = gone && f.file != old.file
		}
		if !gone {
			continue
		}
		if old.file == s.at.file {
			old.bytes = max(0, old.bytes-s.at.offset)
		}
		s.lost += old.bytes
	}
}

// bytes is what there is to send.
func (s *spool) bytes() int64 {
	var sum int64
	for _, f := range s.files {
		sum += f.bytes
		if f.file == s.at.file {
			sum -= min(s.at.offset, f.bytes)
		}
	}
	return sum
}

// next reads the batch after the cursor, of no more than most bytes; one without records where nothing is whole.
func (s *spool) next(most int) (batch, error) {
	for {
		if s.file == nil {
			ok, err := s.open()
			if !ok || err != nil {
				return batch{}, err
			}
		}
		last := s.last() // before reading: what a file that is followed by another has, it has for good
		b, err := s.read(most)
		if b.records > 0 || err != nil || last {
			return b, err
		}
		s.close() // what may be left is the half line of a process that was killed
		if !s.advance() {
			return batch{}, nil
		}
	}
}

// last says that no file follows.
func (s *spool) last() bool {
	return len(s.files) == 0 || s.files[len(s.files)-1].number <= s.at.number
}

// advance goes to the file that follows.
func (s *spool) advance() bool {
	for len(s.files) > 0 && s.files[0].number <= s.at.number {
		s.files = s.files[1:]
	}
	if len(s.files) == 0 {
		return false
	}
	s.at = s.files[0].cursor
	return true
}

// open opens the cursor's file, or, where that is no more, the one that follows.
func (s *spool) open() (bool, error) {
	for len(s.files) > 0 {
		f := s.files[0]
		if f.file != s.at.file {
			s.at = f.cursor
		}
		file, err := os.Open(filepath.Join(s.dir, f.file))
		if errors.Is(err, os.ErrNotExist) {
			s.lost += max(0, f.bytes-s.at.offset)
			s.files = s.files[1:]
			continue
		}
		s.file = file
		return err == nil, err
	}
	return false, nil
}

// read reads whole lines behind the cursor.
func (s *spool) read(most int) (batch, error) {
	info, err := s.file.Stat()
	if err != nil {
		return batch{}, err
	}
	size := int(min(int64(most), max(0, info.Size()-s.at.offset)))
	if size > len(s.buffer) {
		s.buffer = make([]byte, size)
	}
	n, err := s.file.ReadAt(s.buffer[:size], s.at.offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return batch{}, err
	}
	b := batch{end: s.at}
	length := 0
	for b.records < batchRecords {
		i := bytes.IndexByte(s.buffer[length:n], '\n')
		if i < 0 {
			break
		}
		length += i + 1
		b.records++
	}
	b.lines = s.buffer[:length]
	b.end.offset += int64(length)
	return b, nil
}

// sent takes a batch as sent.
func (s *spool) sent(b batch) { s.at = b.end }

func (s *spool) close() {
	if s.file != nil {
		s.file.Close() // was only read
		s.file = nil
	}
}
