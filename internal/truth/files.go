package truth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

const jsonlSuffix = ".jsonl"

var fileName = regexp.MustCompile(`^([0-9]{8,12})-[0-9]{8}T[0-9]{6}Z\.(jsonl|pcapng)$`)

// files are those of a Log's directory. One goroutine uses it.
type files struct {
	dir     string
	list    []stored // the oldest first
	next    int      // the first number that no file has
	growing *os.File // the last of list; nil: none yet
	dirty   bool     // growing was written to since the last sync
}

// stored is one file.
type stored struct {
	number int
	path   string
	bytes  int64
}

// scan reads what earlier processes left; files that are not ours are left
// alone.
func (f *files) scan(dir string) error {
	f.dir, f.next = dir, 1
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return errors.Unwrap(err)
	}
	for _, e := range entries {
		match := fileName.FindStringSubmatch(e.Name())
		if match == nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(match[1])
		if err != nil {
			return err
		}
		f.list = append(f.list, stored{number, filepath.Join(dir, e.Name()), info.Size()})
		f.next = max(f.next, number+1)
	}
	return nil
}

// makeRoom removes the oldest files until all take no more than limit bytes,
// but never the one that grows.
func (f *files) makeRoom(limit int64) error {
	var sum int64
	for _, one := range f.list {
		sum += one.bytes
	}
	for sum > limit && len(f.list) > 1 {
		oldest := f.list[0]
		if err := os.Remove(oldest.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("make room: %w", err)
		}
		sum -= oldest.bytes
		f.list = f.list[1:]
	}
	return nil
}

// add writes a chunk behind its segment's file, or to a new one. Where that
// fails, the file ends where it ended, and is closed.
func (f *files) add(c *chunk) error {
	if f.growing == nil || f.list[len(f.list)-1].number != c.segment.number {
		if err := f.begin(c.segment); err != nil {
			return err
		}
	}
	last := &f.list[len(f.list)-1]
	if _, err := f.growing.WriteAt(c.lines.Bytes(), last.bytes); err != nil {
		err = errors.Join(err, f.growing.Truncate(last.bytes), f.close())
		if last.bytes == 0 {
			err = errors.Join(err, os.Remove(last.path))
			f.list = f.list[:len(f.list)-1]
		}
		return err
	}
	last.bytes += int64(c.lines.Len())
	f.dirty = true
	return nil
}

// begin closes the last file and makes a further one, its name durable.
func (f *files) begin(s segment) error {
	if err := f.close(); err != nil {
		return err
	}
	path := filepath.Join(f.dir, s.base()+jsonlSuffix)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	f.growing = file
	f.list = append(f.list, stored{number: s.number, path: path})
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sync has what was written on the disk.
func (f *files) sync() error {
	if f.growing == nil || !f.dirty {
		return nil
	}
	f.dirty = false
	return f.growing.Sync()
}

func (f *files) close() error {
	if f.growing == nil {
		return nil
	}
	err := errors.Join(f.sync(), f.growing.Close())
	f.growing = nil
	return err
}
