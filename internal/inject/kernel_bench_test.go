package inject_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/inject"
)

// quiet is a network in which nobody answers pings, but the wire takes them.
func quiet(b *testing.B, o networkOptions) *network {
	b.Helper()
	o.unrecorded, o.asShipped = true, true
	n := newNetwork(b, o)
	mustRun(b, gatewayCommand("ip", "neigh", "replace", nobody, "lladdr", n.servers.MAC(b).String(), "dev", "wan0", "nud", "permanent"))
	return n
}

// BenchmarkGuardInsert is the guard's time a frame that opens an expectation,
// as the kernel counts it while the frames are sent: with a table that is too
// large for the processor's caches.
func BenchmarkGuardInsert(b *testing.B) {
	const each = 50_000
	n := quiet(b, networkOptions{})
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	list := smallPings(b, each, ping)
	before := inject.GuardStats(b, n.injector)
	for b.Loop() {
		n.inject(b, list, inject.RunOptions{})
	}
	after := inject.GuardStats(b, n.injector)
	frames := after.RunCount - before.RunCount
	if got := n.accounts(b)[ping]; got.OnWire != got.Generated || frames < got.Generated {
		b.Errorf("%d frames, %+v", frames, got)
	}
	b.ReportMetric(float64((after.Runtime-before.Runtime).Nanoseconds())/float64(frames), "ns/frame")
}

// BenchmarkMemory is what 100,000 packets in flight take: this process's
// resident memory, and the kernel's for its programs and maps.
func BenchmarkMemory(b *testing.B) {
	const pending = 100_000
	n := quiet(b, networkOptions{timeout: time.Minute})
	for b.Loop() {
		if _, err := n.injector.Run(b.Context(), &packets{list: smallPings(b, pending, ping)}, inject.RunOptions{}); err != nil {
			b.Fatal(err)
		}
		if got := n.peek(b)[ping].Inflight; got < pending {
			b.Fatalf("%d in flight", got)
		}
	}
	b.ReportMetric(float64(residentBytes(b)+kernelBytes(b))/(1<<20), "MiB")
}

func residentBytes(b *testing.B) int64 { return numberIn(b, "/proc/self/status", "VmRSS:") << 10 }

// kernelBytes is what the maps and programs that this process holds take, as
// the kernel says of their descriptors.
func kernelBytes(b *testing.B) (total int64) {
	b.Helper()
	entries, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		b.Fatal(err)
	}
	seen := map[int64]bool{} // of maps, by id: a map may have several descriptors
	for _, e := range entries {
		name := "/proc/self/fdinfo/" + e.Name()
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "memlock:") {
			continue // closed meanwhile, or another kind
		}
		id := numberIn(b, name, "map_id:")
		if id != 0 && seen[id] {
			continue
		}
		seen[id] = true
		total += numberIn(b, name, "memlock:")
	}
	return total
}

// numberIn is the number behind a name in a file of /proc; 0: it is not there.
func numberIn(b *testing.B, file, name string) int64 {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	return 0
}
