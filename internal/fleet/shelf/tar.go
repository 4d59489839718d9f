package shelf

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Modes of what is unpacked: those of internal/model and internal/dataset.
const (
	directoryMode = 0o750
	fileMode      = 0o640
)

// most bounds what is taken from a shelf.
var most = map[Kind]struct {
	bytes int64 // of the tar
	files int
}{
	Model:   {256 << 20, 64},
	Dataset: {64 << 30, 64 << 10},
}

const (
	maxDepth = 4   // directories in a path
	maxPath  = 200 // bytes
)

// pack writes a directory's files, those that take wants, as a tar that is the same wherever and whenever the same files
// are packed. It returns how many they were. A file that goes on growing is packed as it was when it was opened; one that
// vanishes meanwhile is left out.
func pack(w io.Writer, dir string, take func(name string) bool) (files int, err error) {
	out := tar.NewWriter(w)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close() // read only
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !take(name) {
			return err
		}
		if !e.Type().IsRegular() {
			return fmt.Errorf("%s: is not a regular file", name)
		}
		f, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close() // read only
		files++
		return packFile(out, name, f)
	})
	return files, errors.Join(err, out.Close())
}

func packFile(out *tar.Writer, name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: fileMode, Format: tar.FormatUSTAR}
	if err := out.WriteHeader(&header); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = io.CopyN(out, f, info.Size())
	return err
}

// unpack writes the regular files of a tar that has m.Bytes bytes below root, where nothing may be yet.
func unpack(r io.Reader, root *os.Root, m *Manifest) error {
	in := tar.NewReader(io.LimitReader(r, m.Bytes))
	var bytes int64
	files := 0
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if files++; files > m.Files {
			return fmt.Errorf("it has more than its %d files", m.Files)
		}
		// Sparse files are longer than what the tar holds of them.
		if bytes += header.Size; header.Size < 0 || bytes > m.Bytes {
			return fmt.Errorf("%.60q: its files are longer than itself", header.Name)
		}
		if err := unpackFile(in, root, header); err != nil {
			return err
		}
	}
	if files != m.Files {
		return fmt.Errorf("it has %d of its %d files", files, m.Files)
	}
	return nil
}

func unpackFile(in io.Reader, root *os.Root, header *tar.Header) (err error) {
	name := header.Name
	switch {
	case header.Typeflag != tar.TypeReg:
		return fmt.Errorf("%.60q: is not a regular file", name)
	case !plain(name):
		return fmt.Errorf("%.60q: is not a plain path within it", name)
	}
	if err := root.MkdirAll(path.Dir(name), directoryMode); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.CopyN(f, in, header.Size); err != nil {
		return fmt.Errorf("%.60q: %w", name, err)
	}
	return nil
}

// syncAll has the disk keep a directory and all that is in it.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// plain accepts the paths that pack writes, of files that nobody hides.
func plain(name string) bool {
	parts := strings.Split(name, "/")
	return len(name) <= maxPath && len(parts) <= maxDepth && filepath.IsLocal(name) && path.Clean(name) == name && !strings.ContainsAny(name, "\\\x00") &&
		!slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(part, ".") })
}
