package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/sandbox"
)

// OwnTime is the processor time of this process so far, softirqs that ran in
// its system calls included.
func OwnTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// SoftirqTime is the processor time so far of the kernel's threads that run
// what softirqs leave over. (A kernel with CONFIG_IRQ_TIME_ACCOUNTING keeps
// all softirqs apart from processes' time, in neither: Debian's has it off.)
func SoftirqTime(tb testing.TB) time.Duration {
	tb.Helper()
	proc, err := sandbox.OuterProc() // they are not in our pid namespace
	if err != nil {
		tb.Fatal(err)
	}
	defer proc.Close()
	names, err := filepath.Glob(fmt.Sprintf("/proc/self/fd/%d/[0-9]*/comm", proc.Fd()))
	if err != nil {
		tb.Fatal(err)
	}
	var total time.Duration
	for _, name := range names {
		if comm, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(comm), "ksoftirqd/") {
			continue // another thread, or one that has ended
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(name), "schedstat"))
		if err != nil {
			tb.Fatal(err)
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		total += time.Duration(ns)
	}
	return total
}

// CPU is the processor time that f takes of this process, and of the kernel's
// threads for softirqs, which other processes' are in, too.
func CPU(tb testing.TB, f func()) time.Duration {
	tb.Helper()
	kernel, own := SoftirqTime(tb), OwnTime(tb)
	f()
	return OwnTime(tb) - own + SoftirqTime(tb) - kernel
}
