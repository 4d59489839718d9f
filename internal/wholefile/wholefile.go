// Package wholefile replaces a file as a whole: whoever reads it finds the old one or the new one, and a failure or kill -9 leaves
// the old one.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write has a file written aside, kept by the disk and renamed. What is there and no regular file, such as /dev/null,
// /dev/stdout or a pipe, is written to as it is: a rename would put a file into its place. The error is one of path, never
// of the file aside, whose name tells nobody anything.
func Write(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	dir := filepath.Dir(path)
	aside, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, reasonOf(err))
	}
	err = errors.Join(write(aside), aside.Chmod(mode), aside.Sync(), aside.Close())
	if err == nil {
		err = os.Rename(aside.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, reasonOf(err)), os.Remove(aside.Name()))
	}
	return syncDir(dir)
}

// reasonOf is an error without the names of files.
func reasonOf(err error) error {
	if e := new(fs.PathError); errors.As(err, &e) {
		return e.Err
	}
	if e := new(os.LinkError); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// syncDir has the disk keep a directory's entries: without it a rename may be lost with the power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
