package appliance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/lab/labtest"
)

// mustJournal listens where journald does, in the tests' own mount namespace.
func mustJournal(t *testing.T) *net.UnixConn {
	t.Helper()
	labtest.RequireRoot(t)
	const run = "/run/systemd"
	must(t, os.MkdirAll(run, 0o755))
	must(t, unix.Mount("tmpfs", run, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(run, unix.MNT_DETACH)) })
	must(t, os.Mkdir(filepath.Join(run, "journal"), 0o755))
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(run, "journal/socket"), Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	return conn
}

// mustEntry reads one event as journald does (systemd.io/JOURNAL_NATIVE_PROTOCOL).
func mustEntry(t *testing.T, conn *net.UnixConn) map[string]string {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	buf := make([]byte, 64<<10)
	n, err := conn.Read(buf)
	must(t, err)
	entry := map[string]string{}
	for rest := buf[:n]; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			t.Fatalf("a field without an end: %q", rest)
		}
		line := rest[:end]
		rest = rest[end+1:]
		if name, value, ok := bytes.Cut(line, []byte("=")); ok {
			entry[string(name)] = string(value)
			continue
		}
		size := binary.LittleEndian.Uint64(rest) // a value of several lines
		entry[string(line)] = string(rest[8 : 8+size])
		rest = rest[8+size+1:]
	}
	return entry
}

func TestJournal(t *testing.T) {
	conn := mustJournal(t)
	var info unix.Stat_t
	must(t, unix.Fstat(int(os.Stderr.Fd()), &info))
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", info.Dev, info.Ino))
	var text bytes.Buffer
	level := new(slog.LevelVar)
	log, err := newLogger(&text, level)
	must(t, err)
	log = log.With("component", "daemon")

	log.Debug("not asked for")
	log.Error("a task ended and is restarted", "task", "web", "in", 2*time.Second, "error", errors.New("listen: in use"))
	log.Warn("two lines", "error", "first\nsecond")
	level.Set(slog.LevelDebug)
	log.With("model", "m1").Debug("asked for", "on-wire", 3)

	ours := func(e map[string]string) map[string]string {
		out := map[string]string{}
		for name, value := range e {
			if strings.HasPrefix(name, journalPrefix) || name == "MESSAGE" || name == "PRIORITY" {
				out[name] = value
			}
		}
		return out
	}
	want := []map[string]string{
		{"MESSAGE": `a task ended and is restarted: task=web in=2s error="listen: in use"`, "PRIORITY": "3",
			"PACGAN_COMPONENT": "daemon", "PACGAN_TASK": "web", "PACGAN_IN": "2s", "PACGAN_ERROR": "listen: in use"},
		{"MESSAGE": `two lines: error="first\nsecond"`, "PRIORITY": "4", "PACGAN_COMPONENT": "daemon", "PACGAN_ERROR": "first\nsecond"},
		{"MESSAGE": "asked for: model=m1 on-wire=3", "PRIORITY": "7", "PACGAN_COMPONENT": "daemon", "PACGAN_MODEL": "m1", "PACGAN_ON_WIRE": "3"},
	}
	for i, w := range want {
		if diff := cmp.Diff(w, ours(mustEntry(t, conn))); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	if text.Len() > 0 {
		t.Errorf("text beside the journal: %s", &text)
	}
}

// TestLogIsTextElsewhere: to a terminal, a file, or a JOURNAL_STREAM that is
// another process's.
func TestLogIsTextElsewhere(t *testing.T) {
	for _, stream := range []string{"", "1:1", "nonsense"} {
		t.Setenv("JOURNAL_STREAM", stream)
		var text bytes.Buffer
		log, err := newLogger(&text, slogLevel(config.LogWarn))
		must(t, err)
		log.Info("not asked for")
		log.Warn("a gap", "error", "disk full")
		_, line, _ := strings.Cut(text.String(), " ") // without the time
		if diff := cmp.Diff("level=WARN msg=\"a gap\" error=\"disk full\"\n", line); diff != "" {
			t.Errorf("JOURNAL_STREAM %q (-want +got):\n%s", stream, diff)
		}
	}
}

func TestSlogLevel(t *testing.T) {
	for level, want := range map[config.LogLevel]slog.Level{
		config.LogDebug: slog.LevelDebug, config.LogInfo: slog.LevelInfo, config.LogWarn: slog.LevelWarn, config.LogError: slog.LevelError,
	} {
		if got := slogLevel(level); got != want {
			t.Errorf("%s: %v, want %v", level, got, want)
		}
	}
}
