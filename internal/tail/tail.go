// Package tail follows a log as its program writes it, across rotation,
// truncation and restarts. It reads no meaning into lines.
package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Options of Follow.
type Options struct {
	Path string
	// Interval is how often the file is looked at; 0: a quarter of a second. A look
	// is one stat: inotify knows nothing of files on other machines, of
	// directories that are made later, and would need the look beside it.
	Interval time.Duration
	// Head says which of the lines at the file's start are handed over although
	// they were there before: a log's head, such as Zeek's, says what its lines
	// mean. nil: none.
	Head func(line []byte) bool
	// Line takes a line, without its end; it is valid until Line returns.
	Line func(line []byte)
	// Fault is told why the file cannot be read, once for each reason, and nil
	// when it can be again.
	Fault func(error)
}

const (
	defaultInterval = 250 * time.Millisecond
	// mostLine bounds a line, in bytes; what is longer is passed over whole.
	mostLine = 1 << 20
)

// Follow hands over the lines that are written to the file from now on, until
// ctx ends; that is no error. Lines that were there before are passed over,
// but those of files that come later are not.
func Follow(ctx context.Context, o Options) error {
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	return (&follower{Options: o}).follow(ctx, o.Interval)
}

func (f *follower) follow(ctx context.Context, interval time.Duration) error {
	defer f.close()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follower is the file that is read now.
type follower struct {
	Options
	file    *os.File // nil: none
	offset  int64    // up to where it was read
	rest    []byte   // of a line whose end was not written yet
	skip    bool     // up to the next line's end
	started bool     // a first look was had: files that come now are read from their start
	fault   string
}

// look reads all that there is.
func (f *follower) look(ctx context.Context) {
	err := f.read(ctx)
	f.started = true
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != f.fault {
		f.fault = text
		f.Fault(err)
	}
}

func (f *follower) read(ctx context.Context) error {
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		if err := f.drain(ctx); err != nil {
			return err
		}
		now, err := os.Stat(f.Path)
		if err != nil { // moved away, and no new one yet: its program may go on writing to it
			return short(err)
		}
		mine, err := f.file.Stat()
		if err != nil {
			return short(err)
		}
		if os.SameFile(mine, now) {
			return nil
		}
		if err := f.drain(ctx); err != nil { // what was written before its program let go of it
			return err
		}
		f.close()
		if err := f.open(); err != nil {
			return err
		}
	}
	return nil
}

// open opens the file: from its start, unless it was there when following
// began.
func (f *follower) open() error {
	file, err := os.Open(f.Path)
	if err != nil {
		return short(err)
	}
	f.file, f.offset, f.rest, f.skip = file, 0, nil, false
	if f.started {
		return nil
	}
	info, err := file.Stat()
	if err != nil {
		return short(err)
	}
	if f.Head != nil {
		if err := f.head(); err != nil {
			return err
		}
	}
	f.offset = info.Size()
	if f.offset > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], f.offset-1); err != nil {
			return short(err)
		}
		f.skip = last[0] != '\n' // the rest of a line that was begun before
	}
	return nil
}

// head hands over the lines at the start that are the file's head.
func (f *follower) head() error {
	start := make([]byte, 64<<10)
	n, err := f.file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return short(err)
	}
	for start = start[:n]; ; {
		line, rest, whole := bytes.Cut(start, []byte{'\n'})
		if !whole || !f.Head(line) {
			return nil
		}
		f.Line(line)
		start = rest
	}
}

// drain reads up to the file's end.
func (f *follower) drain(ctx context.Context) error {
	info, err := f.file.Stat()
	if err != nil {
		return short(err)
	}
	if info.Size() < f.offset { // truncated: by its program, or by copying rotation
		f.offset, f.rest, f.skip = 0, nil, false
	}
	buffer := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := f.file.ReadAt(buffer, f.offset)
		f.offset += int64(n)
		f.split(buffer[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return short(err)
		}
	}
	return nil
}

// split hands over whole lines and keeps what is left.
func (f *follower) split(data []byte) {
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		data = rest
		switch {
		case !whole && !f.skip:
			f.rest = append(f.rest, line...)
			if len(f.rest) > mostLine {
				f.rest, f.skip = nil, true
			}
		case whole && f.skip:
			f.skip = false
		case whole:
			if len(f.rest) > 0 {
				line = append(f.rest, line...)
				f.rest = f.rest[:0]
			}
			f.Line(bytes.TrimSuffix(line, []byte{'\r'}))
		}
	}
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close() // was only read
		f.file = nil
	}
}

// short is an error of a file that was named already.
func short(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return err
}
