package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// tail counts the lines of a log that another program writes, by status, from where it began.
type tail struct {
	path   string
	begin  int64
	status func(line string) (status string, ok bool)
}

func newTail(path string, status func(string) (string, bool)) *tail {
	return &tail{path: path, status: status}
}

func (t *tail) counts() (map[string]int, error) {
	out := map[string]int{}
	f, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(t.begin, io.SeekStart); err != nil {
		return nil, fmt.Errorf("server log: %w", err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("server log: %w", err)
	}
	for line := range bytes.Lines(b) {
		if status, ok := t.status(string(line)); ok {
			out[status]++
		}
	}
	return out, nil
}

func (t *tail) reset() error {
	info, err := os.Stat(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	t.begin = info.Size()
	return nil
}

// unboundStatus reads "[TIME] unbound[PID:THREAD] reply: CLIENT NAME. TYPE CLASS RCODE DURATION CACHED SIZE".
func unboundStatus(line string) (string, bool) {
	_, reply, ok := strings.Cut(line, " reply: ")
	fields := strings.Fields(reply)
	if !ok || len(fields) < 5 {
		return "", false
	}
	status := fields[4]
	if status == "NOERROR" && fields[2] != "A" { // the names have A records only
		status = "NODATA"
	}
	return status, true
}

// nginxStatus reads a line of the log_format in nginxConfig. 499 (the client left) and 408 (it never
// asked) are nginx's own notes; nothing was answered.
func nginxStatus(line string) (string, bool) {
	var entry struct {
		Status int `json:"status"`
	}
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Status == 499 || entry.Status == 408 {
		return "", false
	}
	return strconv.Itoa(entry.Status), true
}
