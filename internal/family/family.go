// Package family finds the processes that another one has started, as /proc
// shows them. It is for tests and soaks, and ends nothing.
package family

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Child is a child of a process that has an argument in its command line, ""
// standing for any child; 0 where there is none now. That the process, a thread
// of it or a child ends meanwhile is no error.
func Child(parent int, argument string) (int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent)) // a thread's each
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		text, err := read(list)
		if err != nil {
			return 0, err
		}
		for _, field := range strings.Fields(text) {
			line, err := read("/proc/" + field + "/cmdline")
			if err != nil {
				return 0, err
			}
			if argument == "" || slices.Contains(strings.Split(line, "\x00"), argument) {
				return strconv.Atoi(field)
			}
		}
	}
	return 0, nil
}

// read reads what the kernel says of a process, nothing of one that has ended.
func read(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", nil
	}
	return string(text), err
}
