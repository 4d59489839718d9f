package inject

import (
	"math"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

// TestNear: what the near end refuses it marks and passes on; the far end drops
// that uncounted.
func TestNear(t *testing.T) {
	in := mustGuard(t, 1000, "10.77.2.0/24")
	type context struct {
		Len, PacketType, Mark uint32
		Rest                  [45]uint32
	}
	run := func(p *ebpf.Program, dst string, mark uint32) (action, marked uint32) {
		t.Helper()
		var out context
		action, err := p.Run(&ebpf.RunOptions{
			Data: frameOf(mustEcho(t, dst, "x"), single, labelEcho), DataOut: make([]byte, 256), Context: context{Mark: mark}, ContextOut: &out,
		})
		if err != nil {
			t.Fatal(err)
		}
		return action, out.Mark
	}
	const next, refused = math.MaxUint32, 0x70616e6f
	if action, mark := run(in.guard.Near, "10.77.2.80", 0); action != redirect || mark != 0x70616367 {
		t.Errorf("allowed: action %d, mark %#x", action, mark)
	}
	if action, mark := run(in.guard.Near, "10.77.3.80", 0); action != next || mark != refused {
		t.Errorf("refused: action %d, mark %#x", action, mark)
	}
	if action, _ := run(in.guard.Guard, "10.77.3.80", refused); action != drop {
		t.Errorf("refused, at the far end: action %d", action)
	}
	want := guardPassage{Expected: 1, OnWire: 1, Blocked: 1}
	if diff := cmp.Diff(want, passageOf(t, in, labelEcho), ignoreLayout); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
