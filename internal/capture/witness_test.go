package capture

import (
	"net"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"pacgan-appliance/internal/hook"
)

// witnessed is what a program behind the capture sees of a frame: the first
// fields of struct __sk_buff, and its first bytes.
type witnessed struct {
	Len, PacketType, Mark, Queue, Protocol, VLANPresent, VLANTCI, VLANProto uint32
	Start                                                                   [14]byte
	_                                                                       [2]byte
}

// mustWitness puts a program behind all others at the interface's ingress;
// the result returns the n frames that it saw.
func mustWitness(tb testing.TB, name string) func(n int) []witnessed {
	tb.Helper()
	queue, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 48, MaxEntries: 64})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { queue.Close() })
	insns := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for field := int16(0); field < 8; field++ {
		insns = append(insns,
			asm.LoadMem(asm.R1, asm.R6, field*4, asm.Word),
			asm.StoreMem(asm.R10, field*4-48, asm.R1, asm.Word))
	}
	insns = append(insns,
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R10, -8, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, -16),
		asm.Mov.Imm(asm.R4, 14),
		asm.FnSkbLoadBytes.Call(),
		asm.LoadMapPtr(asm.R1, queue.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -48),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnMapPushElem.Call(),
		asm.Mov.Imm(asm.R0, -1),
		asm.Return())
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "witness", Type: ebpf.SchedCLS, Instructions: insns, License: "GPL"})
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	tb.Cleanup(func() { program.Close() })
	iface, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	link, err := hook.Attach(program, iface.Index, hook.Ingress)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { link.Close() })
	return func(n int) []witnessed {
		tb.Helper()
		out := make([]witnessed, n)
		for i := range out {
			// veth hands frames over before send returns, or soon after.
			if !poll(func() bool { return queue.LookupAndDelete(nil, &out[i]) == nil }) {
				tb.Fatalf("the witness saw %d frames, want %d", i, n)
			}
		}
		link.Close()
		return out
	}
}
