package appliance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeWhole has a file written aside and renamed, so that a reader never sees half of it and a failure leaves what was
// there. What is there and no regular file, such as /dev/null, /dev/stdout or a pipe, is written to as it is: a rename
// would put a file into its place.
func writeWhole(path string, mode os.FileMode, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	aside, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, reasonOf(err))
	}
	if err := errors.Join(write(aside), aside.Chmod(mode), aside.Sync(), aside.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, reasonOf(err)), os.Remove(aside.Name()))
	}
	return os.Rename(aside.Name(), path)
}

// reasonOf is an error without the name of the file aside, which tells nobody anything.
func reasonOf(err error) error {
	if e := new(fs.PathError); errors.As(err, &e) {
		return e.Err
	}
	return err
}
