package truth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

const (
	jsonlSuffix  = ".jsonl"
	pcapngSuffix = ".pcapng"
)

var fileName = regexp.MustCompile(`^([0-9]{8,12})-([0-9]{8}T[0-9]{6}Z)\.(jsonl|pcapng)$`)

const beganLayout = "20060102T150405Z"

// RecordsFile says of a file's name, without its directory, whether a Log's records are in it, the how manieth of the
// directory it is, from 1, and when it began, to the second. Numbers rise, but not each has a file.
func RecordsFile(name string) (number int, began time.Time, ok bool) {
	match := fileName.FindStringSubmatch(name)
	if match == nil || "."+match[3] != jsonlSuffix {
		return 0, time.Time{}, false
	}
	number, err := strconv.Atoi(match[1])
	if err != nil {
		return 0, time.Time{}, false
	}
	if began, err = time.Parse(beganLayout, match[2]); err != nil {
		return 0, time.Time{}, false
	}
	return number, began, true
}

// files are those of a Log's directory. One goroutine uses it.
type files struct {
	dir     string
	list    []stored // the oldest first
	next    int      // the first number that no file has
	growing *growing // the last of list; nil: none yet
}

// stored is one segment: a file of records, and one of packets.
type stored struct {
	number int
	paths  []string
	bytes  int64
}

// growing is the segment that is written to.
type growing struct {
	records, packets appended
	dirty            bool // since the last sync
}

// appended is a file that grows; it has no file until there is something to write.
type appended struct {
	path  string
	file  *os.File
	whole int64 // bytes of whole records
}

// scan reads what earlier processes left; files that are not ours are left
// alone.
func (f *files) scan(dir string) error {
	f.dir, f.next = dir, 1
	entries, err := os.ReadDir(dir) // sorted by name, which begins with the number
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
		if n := len(f.list); n == 0 || f.list[n-1].number != number {
			f.list = append(f.list, stored{number: number})
		}
		last := &f.list[len(f.list)-1]
		last.paths = append(last.paths, filepath.Join(dir, e.Name()))
		last.bytes += info.Size()
		f.next = max(f.next, number+1)
	}
	return nil
}

// makeRoom removes the oldest segments until all take no more than limit bytes,
// but never the one that grows.
func (f *files) makeRoom(limit int64) error {
	var sum int64
	for _, one := range f.list {
		sum += one.bytes
	}
	for sum > limit && len(f.list) > 1 {
		oldest := f.list[0]
		for _, path := range oldest.paths {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("make room: %w", err)
			}
		}
		sum -= oldest.bytes
		f.list = f.list[1:]
	}
	return nil
}

// add writes a chunk behind its segment, or to a new one. Where that fails, the
// files end where they ended, and are closed.
func (f *files) add(c *chunk) error {
	if f.growing == nil || f.list[len(f.list)-1].number != c.segment.number {
		if err := f.begin(c.segment); err != nil {
			return err
		}
	}
	g, last := f.growing, &f.list[len(f.list)-1]
	if err := errors.Join(g.packets.write(c.packets.Bytes()), g.records.write(c.lines.Bytes())); err != nil {
		return errors.Join(err, f.cut())
	}
	g.records.whole += int64(c.lines.Len())
	g.packets.whole += int64(c.packets.Len())
	last.bytes = g.records.whole + g.packets.whole
	last.paths = last.paths[:0]
	for _, a := range []*appended{&g.records, &g.packets} {
		if a.file != nil {
			last.paths = append(last.paths, a.path)
		}
	}
	g.dirty = true
	return nil
}

// cut ends the growing segment with its last whole record.
func (f *files) cut() error {
	g := f.growing
	err := errors.Join(g.records.cut(), g.packets.cut(), f.close())
	if g.records.whole == 0 {
		f.list = f.list[:len(f.list)-1]
	}
	return err
}

// begin closes the last segment and begins a further one.
func (f *files) begin(s segment) error {
	if err := f.close(); err != nil {
		return err
	}
	base := filepath.Join(f.dir, s.base())
	f.growing = &growing{records: appended{path: base + jsonlSuffix}, packets: appended{path: base + pcapngSuffix}}
	f.list = append(f.list, stored{number: s.number})
	return nil
}

// write appends b, which is whole only once the caller says so.
func (a *appended) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if a.file == nil {
		if err := a.create(); err != nil {
			return err
		}
	}
	_, err := a.file.WriteAt(b, a.whole)
	return err
}

// create makes the file, and its name durable.
func (a *appended) create() error {
	file, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	a.file = file
	dir, err := os.Open(filepath.Dir(a.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// cut takes off what is not whole.
func (a *appended) cut() error {
	switch {
	case a.file == nil:
		return nil
	case a.whole == 0:
		return os.Remove(a.path)
	}
	return a.file.Truncate(a.whole)
}

func (a *appended) each(do func(*os.File) error) error {
	if a.file == nil {
		return nil
	}
	return do(a.file)
}

// sync has what was written on the disk.
func (f *files) sync() error {
	g := f.growing
	if g == nil || !g.dirty {
		return nil
	}
	g.dirty = false
	return errors.Join(g.records.each((*os.File).Sync), g.packets.each((*os.File).Sync))
}

func (f *files) close() error {
	g := f.growing
	if g == nil {
		return nil
	}
	err := errors.Join(f.sync(), g.records.each((*os.File).Close), g.packets.each((*os.File).Close))
	f.growing = nil
	return err
}
