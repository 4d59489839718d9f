package bounded

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// failures is a test of which only the failures are wanted.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

var sink []byte

func TestMemoryOfAnInput(t *testing.T) {
	for _, tt := range []struct {
		name      string
		size      int
		allocates []int // bytes, one after the other
		want      string
	}{
		{"nothing", 10, nil, ""},
		{"little", 10, []int{60 << 20}, ""},
		{"too much", 10, []int{66 << 20}, "an input of 10 bytes had 66 MiB allocated, 64 at most are allowed below 64 KiB"},
		{"too much in parts, none of which is kept", 10, []int{33 << 20, 33 << 20}, "an input of 10 bytes had 66 MiB"},
		{"a large input", 64 << 10, []int{66 << 20}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &failures{TB: t}
			end := Input(f, tt.size)
			for _, n := range tt.allocates {
				sink = make([]byte, n)
			}
			end()
			sink = nil
			if got := strings.Join(f.said, "; "); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHangIsSaid(t *testing.T) {
	hung := make(chan struct{})
	end := watch(t, 10, time.Millisecond, func() { close(hung) })
	<-hung // or the test hangs, and go test says where
	end()

	end = watch(t, 10, time.Hour, func() { t.Error("hangs, though it has ended") })
	end()
}

func BenchmarkInput(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Input(b, 10)()
	}
}
