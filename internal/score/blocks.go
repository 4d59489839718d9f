package score

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
)

// blockSize is how much of a file is parsed at once: many lines, and little of
// the memory.
const blockSize = 1 << 20

// block is a stretch of whole lines.
type block struct {
	data  []byte
	first int // number of its first line, from 1
}

// job is a block on its way through a worker.
type job[T any] struct {
	block
	done chan T
}

// eachBlock reads lines, has each block parsed by one of the workers, and hands the results over in the file's order. It returns how many bytes
// after the last line's end there are: a line that was not written whole.
func eachBlock[T any](ctx context.Context, r io.Reader, workers int, parser func() func(block) (T, error), take func(T) error) (torn int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	work, ordered := make(chan job[T]), make(chan job[T], workers)
	room := make(chan []byte, 2*workers+1)
	for range cap(room) {
		room <- make([]byte, blockSize)
	}
	for range workers {
		parse := parser()
		group.Go(func() error {
			for j := range work {
				result, err := parse(j.block)
				if err != nil {
					return err
				}
				room <- j.data[:cap(j.data)] // as many as fit
				j.done <- result
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		torn, err = split(ctx, r, room, func(b block) error {
			j := job[T]{b, make(chan T, 1)}
			for _, to := range []chan<- job[T]{ordered, work} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
		return err
	})
	group.Go(func() error {
		for j := range ordered {
			select {
			case result := <-j.done:
				if err := take(result); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return torn, group.Wait()
}

// unzipped opens a log, and reads through gzip what begins like it: rotated logs
// are compressed.
func unzipped(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(f, blockSize)
	if magic, _ := buffered.Peek(2); string(magic) != "\x1f\x8b" {
		return struct {
			io.Reader
			io.Closer
		}{buffered, f}, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{whole{z}, f}, nil
}

// whole tells a compressed file that is cut off from one that ends.
type whole struct{ io.Reader }

func (w whole) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("gzip: the file is cut off: give one that is whole")
	}
	return n, err
}

// pathless is an error without the path that a message has already.
func pathless(err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// split cuts what is read into blocks of whole lines. It takes their memory
// from room.
func split(ctx context.Context, r io.Reader, room <-chan []byte, send func(block) error) (torn int, err error) {
	var rest []byte // of the line that the last block did not end
	first := 1
	for {
		var buffer []byte
		select {
		case buffer = <-room:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		n := copy(buffer, rest)
		got, err := io.ReadFull(r, buffer[n:])
		data := buffer[:n+got]
		end := bytes.LastIndexByte(data, '\n') + 1
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !last:
			return 0, err
		case end == 0 && !last:
			return 0, fmt.Errorf("line %d: longer than %d bytes", first, len(data))
		}
		rest = append(rest[:0], data[end:]...)
		if end > 0 {
			lines := bytes.Count(data[:end], []byte{'\n'})
			if err := send(block{data[:end], first}); err != nil {
				return 0, err
			}
			first += lines
		}
		if last {
			return len(rest), nil
		}
	}
}

// eachLine calls visit for each line, without its end. What visit returns names
// the line.
func (b block) eachLine(visit func(line []byte) error) error {
	number := b.first
	for data := b.data; len(data) > 0; number++ {
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if err := visit(bytes.TrimSuffix(line, []byte{'\r'})); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}
