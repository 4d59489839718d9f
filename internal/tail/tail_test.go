package tail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rig follows a file and keeps what it is told.
type rig struct {
	tb     testing.TB
	path   string
	mu     sync.Mutex
	lines  []string
	faults []string
}

func newRig(tb testing.TB) *rig {
	return &rig{tb: tb, path: filepath.Join(tb.TempDir(), "eve.json")}
}

// follow begins, and returns when the first look was had.
func (r *rig) follow() {
	r.tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	looked := make(chan struct{})
	f := &follower{Options: Options{
		Path: r.path,
		Head: func(line []byte) bool { return bytes.HasPrefix(line, []byte("#")) },
		Line: func(line []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.lines = append(r.lines, string(line))
		},
		Fault: func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			text := "good"
			if err != nil {
				text = strings.ReplaceAll(err.Error(), filepath.Dir(r.path), "")
			}
			r.faults = append(r.faults, text)
		},
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.look(ctx)
		close(looked)
		if err := f.follow(ctx, time.Millisecond); err != nil {
			r.tb.Error(err)
		}
	}()
	r.tb.Cleanup(func() { stop(); <-done })
	<-looked
}

func (r *rig) append(text string) {
	r.tb.Helper()
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	r.must(err)
}

func (r *rig) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// until waits for lines; more are a fault.
func (r *rig) until(want ...string) {
	r.tb.Helper()
	got := func() []string {
		r.mu.Lock()
		defer r.mu.Unlock()
		return append([]string(nil), r.lines...)
	}
	for deadline := time.Now().Add(30 * time.Second); len(got()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if diff := cmp.Diff(want, got()); diff != "" {
		r.tb.Fatalf("lines (-want +got):\n%s", diff)
	}
}

func TestFollow(t *testing.T) {
	tests := []struct {
		name string
		run  func(r *rig)
	}{
		{"what is there is passed over, but for its head", func(r *rig) {
			r.append("#fields\n#types\nold\n# not head\nold, to")
			r.follow()
			r.append("rn\nnew\n")
			r.until("#fields", "#types", "new")
		}},
		{"a line in parts", func(r *rig) {
			r.append("")
			r.follow()
			for _, part := range []string{"a", "b", "c\r\nd\n", "e"} {
				r.append(part)
			}
			r.until("abc", "d")
			r.append("f\n")
			r.until("abc", "d", "ef")
		}},
		{"not there yet: read from its start", func(r *rig) {
			r.follow()
			r.append("first\nsecond\n")
			r.until("first", "second")
		}},
		{"moved away and made anew", func(r *rig) {
			r.append("old\n")
			r.follow()
			r.append("a\n")
			r.must(os.Rename(r.path, r.path+".1"))
			f, err := os.OpenFile(r.path+".1", os.O_WRONLY|os.O_APPEND, 0) // its program goes on until it is told
			r.must(err)
			_, err = f.WriteString("b\n")
			r.must(err)
			r.must(f.Close())
			r.append("#head\nc\n")
			r.until("a", "b", "#head", "c")
		}},
		{"copied and truncated", func(r *rig) {
			r.append("old and long enough\n")
			r.follow()
			r.append("a\nbegun")
			r.until("a")
			r.must(os.Truncate(r.path, 0))
			r.append("b\n")
			r.until("a", "b")
		}},
		{"removed, and made anew", func(r *rig) {
			r.append("old\n")
			r.follow()
			r.must(os.Remove(r.path))
			r.append("a\n")
			r.until("a")
		}},
		{"a line that is too long", func(r *rig) {
			r.append("")
			r.follow()
			r.append(strings.Repeat("x", mostLine+1) + strings.Repeat("y", 1<<17) + "\nshort\n")
			r.until("short")
		}},
		{"many lines", func(r *rig) {
			r.append("")
			r.follow()
			var want []string
			var text strings.Builder
			for i := range 20_000 {
				want = append(want, fmt.Sprint("line ", i))
				fmt.Fprintln(&text, want[i])
			}
			r.append(text.String())
			r.until(want...)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(newRig(t)) })
	}
}

func TestFault(t *testing.T) {
	r := newRig(t)
	r.follow()
	r.append("a\n")
	r.until("a")
	r.must(os.Remove(r.path))
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		n := len(r.faults)
		r.mu.Unlock()
		if n == 3 {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	missing := "/eve.json: no such file or directory"
	if diff := cmp.Diff([]string{missing, "good", missing}, r.faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}
