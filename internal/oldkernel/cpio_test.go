package oldkernel

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// archive is an initial file system in cpio's newc format (cpio(5)), which the
// kernel unpacks into memory.
type archive struct {
	tb   testing.TB
	out  bytes.Buffer
	made map[string]bool
}

func newArchive(tb testing.TB) *archive {
	return &archive{tb: tb, made: map[string]bool{"/": true}}
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
	cpioEnd  = "TRAILER!!!"
)

// entry writes one member; parts of the archive are aligned to four bytes.
func (a *archive) entry(path string, mode int, data []byte) {
	name := strings.TrimPrefix(path, "/")
	fmt.Fprintf(&a.out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		len(a.made), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.out.WriteString(name + "\x00")
	a.align()
	a.out.Write(data)
	a.align()
}

func (a *archive) align() {
	for a.out.Len()%4 != 0 {
		a.out.WriteByte(0)
	}
}

func (a *archive) dir(path string) {
	if a.made[path] {
		return
	}
	a.dir(filepath.Dir(path))
	a.made[path] = true
	a.entry(path, modeDir, nil)
}

// file puts a file of this machine at a path of the archive.
func (a *archive) file(path, from string) {
	a.tb.Helper()
	if a.made[path] {
		return
	}
	data, err := os.ReadFile(from)
	if err != nil {
		a.tb.Fatal(err)
	}
	a.dir(filepath.Dir(path))
	a.made[path] = true
	a.entry(path, modeFile, data)
}

// program puts a program and the libraries that it is linked with where this
// machine has them.
func (a *archive) program(name string) {
	a.tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		a.tb.Fatalf("%v: run make deps", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		a.tb.Fatal(err)
	}
	a.file(filepath.Join("/bin", name), path)
	binary, err := elf.Open(path)
	if err != nil {
		a.tb.Fatalf("%s: %v", path, err)
	}
	defer binary.Close()
	if interpreter := binary.Section(".interp"); interpreter != nil {
		loader, err := io.ReadAll(interpreter.Open())
		if err != nil {
			a.tb.Fatal(err)
		}
		a.libraries(strings.TrimRight(string(loader), "\x00"), path)
	}
}

// libraries asks the dynamic loader, as ldd(1) does.
func (a *archive) libraries(loader, path string) {
	a.tb.Helper()
	a.file(loader, loader)
	out, err := exec.Command(loader, "--list", path).Output()
	if err != nil {
		a.tb.Fatalf("%s --list %s: %v", loader, path, err)
	}
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if filepath.IsAbs(word) {
				a.file(word, word)
			}
		}
	}
}

func (a *archive) bytes() []byte {
	a.entry(cpioEnd, 0, nil)
	return a.out.Bytes()
}
