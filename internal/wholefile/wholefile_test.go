package wholefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestWrite: a file is replaced whole or not at all, and what is no file is never replaced.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	say := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	must(t, Write(path, 0o640, say("first")))
	must(t, Write(path, 0o640, say("second")))
	mustHold := func(want string) {
		t.Helper()
		b, err := os.ReadFile(path)
		must(t, err)
		if string(b) != want {
			t.Errorf("%q in the file, want %q", b, want)
		}
	}
	mustHold("second")
	broken := errors.New("no more")
	if err := Write(path, 0o640, func(w io.Writer) error { return errors.Join(say("half")(w), broken) }); !errors.Is(err, broken) || err.Error() != "write "+path+": no more" {
		t.Errorf("error %v, want %v", err, broken)
	}
	mustHold("second")
	must(t, os.Symlink(path, filepath.Join(dir, "link")))
	must(t, Write(filepath.Join(dir, "link"), 0o640, say("by link")))
	mustHold("by link")

	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that opening it does not wait
	must(t, err)
	defer reader.Close()
	must(t, Write(pipe, 0o640, say("through")))
	b := make([]byte, 7)
	if _, err := io.ReadFull(reader, b); err != nil || string(b) != "through" {
		t.Errorf("%q came through the pipe: %v", b, err)
	}
	busy := filepath.Join(dir, "busy")
	must(t, os.MkdirAll(filepath.Join(busy, "inside"), 0o755))
	if err := Write(filepath.Join(busy, "missing", "x"), 0o640, say("")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 4 { // the file, the link, the pipe, the directory
		t.Errorf("left behind: %v", left)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
