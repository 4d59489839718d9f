package capture

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"

	"pacgan-appliance/internal/lab/labtest"
)

const passOn = 0xffffffff // TC_ACT_UNSPEC

func mustLabels(tb testing.TB, exprs ...string) []Label {
	tb.Helper()
	labels := make([]Label, len(exprs))
	for i, expr := range exprs {
		labels[i] = Label{Name: fmt.Sprintf("l%d", i), Filter: mustCompile(tb, expr)}
	}
	return labels
}

func mustLoad(tb testing.TB, o Options) *Capture {
	tb.Helper()
	labtest.RequireRoot(tb)
	c, err := load(o)
	if err != nil {
		tb.Fatalf("load: %+v", err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// run passes a frame through the program, with a mark, and returns what reached the ring.
func (c *Capture) run(tb testing.TB, frame []byte, mark uint32) (captureFrameHeader, []byte, bool) {
	tb.Helper()
	var skb [192]byte // struct __sk_buff
	binary.NativeEndian.PutUint32(skb[8:], mark)
	out := make([]byte, len(frame)+64)
	verdict, err := c.objects.PacganCapture.Run(&ebpf.RunOptions{Data: frame, DataOut: out, Context: skb[:], ContextOut: skb[:]})
	if err != nil {
		tb.Fatalf("run the program on %d bytes %x: %v", len(frame), frame, err)
	}
	if verdict != passOn {
		tb.Fatalf("verdict %#x, want %#x", verdict, uint32(passOn))
	}
	if diff := cmp.Diff(frame, out[:len(frame)]); diff != "" {
		tb.Fatalf("the frame was changed (-want +got):\n%s", diff)
	}
	var record, second ringbuf.Record
	found, err := c.reader.Next(&record)
	if err != nil {
		tb.Fatal(err)
	}
	if !found {
		return captureFrameHeader{}, nil, false
	}
	if found, err := c.reader.Next(&second); found || err != nil {
		tb.Fatalf("a second record, or %v", err)
	}
	header, stored, err := parseRecord(record.RawSample)
	if err != nil {
		tb.Fatal(err)
	}
	return header, stored, true
}

// oracle says which filter of labels matches first by classic BPF as written, -1 for none.
func oracle(tb testing.TB, labels []Label, frame []byte) int {
	tb.Helper()
	for i, l := range labels {
		vm, err := bpf.NewVM(l.Filter.program)
		if err != nil {
			tb.Fatalf("filter %q: %v", l.Filter, err)
		}
		n, err := vm.Run(frame)
		if err != nil {
			tb.Fatalf("filter %q: %v", l.Filter, err)
		}
		if n > 0 {
			return i
		}
	}
	return -1
}

// checkAgainstOracle runs every frame and compares the label, the bytes and the time.
func checkAgainstOracle(t *testing.T, labels []Label) {
	t.Helper()
	c := mustLoad(t, Options{Labels: labels})
	for _, f := range append(goodFrames(t), hostileFrames(t)...) {
		if !runnable(f.bytes) {
			continue
		}
		before := monotonic()
		header, stored, ok := c.run(t, f.bytes, 0)
		want := oracle(t, labels, f.bytes)
		if ok != (want >= 0) || ok && int(header.Label) != want {
			t.Errorf("%s %x: label %d (%v), want %d", f.name, f.bytes, header.Label, ok, want)
			continue
		}
		if !ok {
			continue
		}
		if diff := cmp.Diff(f.bytes, stored); diff != "" {
			t.Errorf("%s: stored frame (-want +got):\n%s", f.name, diff)
		}
		if header.TimeNs < before || header.TimeNs > monotonic() {
			t.Errorf("%s: time %d outside of the run", f.name, header.TimeNs)
		}
	}
}

// runnable: the kernel's test run takes no frame that says IP and ends within
// the IP header; TestHostileFramesOnTheWire sends those.
func runnable(frame []byte) bool {
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		return len(frame) >= 34
	case 0x86dd:
		return len(frame) >= 54
	}
	return true
}

// TestFiltersAgainstClassicBPF runs each expression alone.
func TestFiltersAgainstClassicBPF(t *testing.T) {
	if testing.Short() {
		t.Skip("long, of one goroutine: runs without the race detector")
	}
	labtest.RequireRoot(t)
	for _, expr := range expressions() {
		t.Run(expr, func(t *testing.T) { checkAgainstOracle(t, mustLabels(t, expr)) })
	}
}

// TestFirstLabelWins runs as many labels as there may be, in two orders.
func TestFirstLabelWins(t *testing.T) {
	labtest.RequireRoot(t)
	exprs := expressions()[1:]
	for len(exprs) < MaxLabels {
		exprs = append(exprs, "ip")
	}
	t.Run("in order", func(t *testing.T) { checkAgainstOracle(t, mustLabels(t, exprs...)) })
	for i, j := 0, len(exprs)-1; i < j; i, j = i+1, j-1 {
		exprs[i], exprs[j] = exprs[j], exprs[i]
	}
	t.Run("backwards", func(t *testing.T) { checkAgainstOracle(t, mustLabels(t, exprs...)) })
}

// TestVerifierWork: 32 of the longest filters stay far below the verifier's million.
func TestVerifierWork(t *testing.T) {
	exprs := make([]string, MaxLabels)
	for i := range exprs {
		exprs[i] = fmt.Sprintf("(vlan and tcp dst port %d and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420) or "+
			"(ip6 and (host 2001:db8::%d or net 2001:db8:%d::/48) and portrange 80-%d) or (ip[6:2] & 0x1fff = 0 and "+
			"tcp[tcpflags] & tcp-syn != 0 and (src net 10.%d.0.0/16 or dst net 10.%d.0.0/16))", 80+i, i, i, 90+i, i, i)
	}
	c := mustLoad(t, Options{Labels: mustLabels(t, exprs...)})
	info, err := c.objects.PacganCapture.Info()
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := info.VerifiedInstructions(); ok {
		t.Logf("verifier: %d instructions", n)
		if n > 200_000 {
			t.Errorf("the verifier walked %d instructions, want at most 200,000", n)
		}
	}
}

func TestMarkIsSkipped(t *testing.T) {
	c := mustLoad(t, Options{Labels: mustLabels(t, "ip")})
	frame := goodFrames(t)[0].bytes
	if _, _, ok := c.run(t, frame, 0x70616367); ok {
		t.Error("a frame with our mark was captured")
	}
	if _, _, ok := c.run(t, frame, 0x70616368); !ok {
		t.Error("a frame with another mark was not captured")
	}
	want := Counters{Seen: 2, Ours: 1, Labels: []LabelCounters{{Label: "l0", Labelled: 1}}}
	if diff := cmp.Diff(want, mustCounters(t, c)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func mustCounters(tb testing.TB, c *Capture) Counters {
	tb.Helper()
	counters, err := c.Counters()
	if err != nil {
		tb.Fatal(err)
	}
	return counters
}

// TestSizes: every length around the rooms of bpf/capture.c, and one above the snap length.
func TestSizes(t *testing.T) {
	c := mustLoad(t, Options{Labels: mustLabels(t, "ip", "arp"), SnapBytes: 3000})
	var want LabelCounters
	for _, n := range []int{34, 255, 256, 257, 1514, 2047, 2048, 2049, 2999, 3000, 3001, 3500} {
		frame := mustSerialize(t, ethernet(0x0800), ipv4(17), payload(n-34))
		_, stored, ok := c.run(t, frame, 0)
		if ok != (n <= 3000) || ok && len(stored) != len(frame) {
			t.Errorf("frame of %d bytes: stored %d (%v)", n, len(stored), ok)
		}
		if ok {
			want.Labelled++
		} else {
			want.Oversize++
		}
	}
	want.Label = "l0"
	if diff := cmp.Diff(want, mustCounters(t, c).Labels[0]); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// TestFullRing: what the ring cannot take is counted, and nothing else is lost.
func TestFullRing(t *testing.T) {
	c := mustLoad(t, Options{Labels: mustLabels(t, "ip"), RingBytes: 1})
	frame := goodFrames(t)[0].bytes
	const offered = 1000
	if _, err := c.objects.PacganCapture.Run(&ebpf.RunOptions{Data: frame, Repeat: offered}); err != nil {
		t.Fatal(err)
	}
	got := mustCounters(t, c).Labels[0]
	if got.Labelled+got.Dropped != offered || got.Dropped == 0 || got.Labelled < minRingBytes/512 {
		t.Errorf("counters %+v after %d frames", got, offered)
	}
	read := uint64(0)
	var record ringbuf.Record
	for {
		found, err := c.reader.Next(&record)
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			break
		}
		read++
	}
	if read != got.Labelled {
		t.Errorf("read %d frames, the kernel says %d", read, got.Labelled)
	}
	if _, _, ok := c.run(t, frame, 0); !ok {
		t.Error("the emptied ring takes nothing")
	}
}

// TestVerifierRefusal: one line, and the whole log for %+v.
func TestVerifierRefusal(t *testing.T) {
	labtest.RequireRoot(t)
	spec, err := Options{}.spec([]place{{mustLabels(t, "ip")[0].Filter, 0}})
	if err != nil {
		t.Fatal(err)
	}
	program := spec.Programs[captureProgPacganCapture]
	for i, insn := range program.Instructions {
		if insn.Symbol() == stub { // read through a register that is not set
			program.Instructions[i] = asm.LoadMem(asm.R0, asm.R9, 0, asm.Word).WithMetadata(insn.Metadata)
		}
	}
	_, err = ebpf.NewCollection(spec)
	if err = loadError(err); err == nil {
		t.Fatal("the verifier took it")
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.HasPrefix(text, "the kernel refused the program: ") {
		t.Errorf("Error() = %q", text)
	}
	if log := fmt.Sprintf("%+v", err); !strings.Contains(log, "\n") || !strings.Contains(log, "R9 !read_ok") {
		t.Errorf("%%+v = %q", log)
	}
	if text := fmt.Sprintf("%v", err); text != err.Error() {
		t.Errorf("%%v = %q", text)
	}
}

func BenchmarkProgram(b *testing.B) {
	for _, n := range []int{1, 3, MaxLabels} {
		exprs := make([]string, n)
		for i := range exprs {
			exprs[i] = fmt.Sprintf("udp dst port %d", 5300+i)
		}
		c := mustLoad(b, Options{Labels: mustLabels(b, exprs...)})
		b.Run(fmt.Sprintf("miss/labels=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			_, took, err := c.objects.PacganCapture.Benchmark(goodFrames(b)[2].bytes, max(b.N, 1), b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Nanoseconds()), "ns/frame")
		})
	}
	b.Run("hit", func(b *testing.B) {
		const frames = 500_000 // half of what the ring holds
		c := mustLoad(b, Options{Labels: mustLabels(b, "udp dst port 53"), RingBytes: 1 << 28})
		_, took, err := c.objects.PacganCapture.Benchmark(goodFrames(b)[2].bytes, frames, b.ResetTimer)
		if err != nil {
			b.Fatal(err)
		}
		if n := mustCounters(b, c).Labels[0]; n.Labelled != frames {
			b.Fatalf("counters %+v, want %d labelled", n, frames)
		}
		b.ReportMetric(float64(took.Nanoseconds()), "ns/frame")
	})
}
