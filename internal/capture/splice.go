package capture

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cloudflare/cbpfc"
	"golang.org/x/net/bpf"
)

// stub is the function in bpf/capture.c whose body the filters replace.
const stub = "classify"

// Offsets into struct __sk_buff (linux/bpf.h), which are ABI.
const (
	skbLen     = 0
	skbData    = 76
	skbDataEnd = 80
)

// Registers of the spliced function. cbpfc calls nothing, so that all are free.
const (
	regContext = asm.R6
	regData    = asm.R7
	regDataEnd = asm.R8
)

// place is a filter and the index of its label in the kernel's tables.
type place struct {
	filter Filter
	slot   int
}

// classifier is the spliced function: 1 + the slot of the first filter that
// matches, 0 for none. Each block loads the packet's bounds anew, so that the
// verifier meets it in one state however many blocks went before: its work
// grows with the sum of the filters, not with their product.
func classifier(filters []place) (asm.Instructions, error) {
	insns := asm.Instructions{asm.Mov.Reg(regContext, asm.R1)}
	for i, p := range filters {
		block, err := p.filter.block(i, p.slot)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", p.filter, err)
		}
		insns = append(insns, block...)
	}
	return append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol(blockName(len(filters))),
		asm.Return(),
	), nil
}

func blockName(i int) string { return fmt.Sprintf("filter%d", i) }

// block is the ith of the function: it returns 1 + slot where the filter
// matches, and goes on to the next block where it does not.
func (f Filter) block(i, slot int) (asm.Instructions, error) {
	result := blockName(i) + "_result"
	body, err := cbpfc.ToEBPF(f.program, cbpfc.EBPFOpts{
		PacketStart: regData,
		PacketEnd:   regDataEnd,
		Result:      asm.R0,
		ResultLabel: result,
		Working:     [4]asm.Register{asm.R1, asm.R2, asm.R3, asm.R4},
		LabelPrefix: blockName(i),
	})
	if err != nil {
		return nil, f.untranslatable(err)
	}
	insns := asm.Instructions{
		asm.LoadMem(regData, regContext, skbData, asm.Word).WithSymbol(blockName(i)),
		asm.LoadMem(regDataEnd, regContext, skbDataEnd, asm.Word),
	}
	insns = append(insns, trueLength(body)...)
	return append(insns,
		asm.JEq.Imm(asm.R0, 0, blockName(i+1)).WithSymbol(result),
		asm.Mov.Imm(asm.R0, int32(slot+1)),
		asm.Return(),
	), nil
}

// untranslatable explains what cbpfc refuses.
func (f Filter) untranslatable(err error) error {
	for _, insn := range f.program {
		if x, ok := insn.(bpf.LoadExtension); ok && x.Num != bpf.ExtLen {
			return errors.New("asks for what is not in the frame's bytes (inbound, outbound or the like), which no label can depend on")
		}
		if jump, ok := insn.(bpf.Jump); ok && int32(jump.Skip) < 0 {
			return errors.New("needs a loop (protochain), which kernel filters cannot have")
		}
	}
	return fmt.Errorf("translate from classic BPF: %w", err)
}

// trueLength replaces cbpfc's length of the packet, end - start, which is the
// length of what was pulled, by the frame's.
func trueLength(insns asm.Instructions) asm.Instructions {
	var out asm.Instructions
	for i := 0; i < len(insns); i++ {
		if i+1 < len(insns) && isLength(insns[i], insns[i+1]) {
			load := asm.LoadMem(insns[i].Dst, regContext, skbLen, asm.Word)
			load.Metadata = insns[i].Metadata // it may be a jump's target
			out = append(out, load)
			i++
			continue
		}
		out = append(out, insns[i])
	}
	return out
}

func isLength(first, second asm.Instruction) bool {
	end := asm.Mov.Reg(first.Dst, regDataEnd)
	minus := asm.Sub.Reg32(first.Dst, regData)
	return first.OpCode == end.OpCode && first.Src == end.Src &&
		second.OpCode == minus.OpCode && second.Dst == minus.Dst && second.Src == minus.Src
}

// splice puts the classifier in the stub's place. The stub's first
// instruction carries its name and its BTF, which the verifier asks for.
func splice(program *ebpf.ProgramSpec, filters []place) error {
	body, err := classifier(filters)
	if err != nil {
		return err
	}
	start, end := -1, len(program.Instructions)
	for i, insn := range program.Instructions {
		if insn.Symbol() == stub {
			start = i
		} else if start >= 0 && insn.Symbol() != "" {
			end = i
			break
		}
	}
	if start < 0 {
		return fmt.Errorf("program %s has no function %s", program.Name, stub)
	}
	body[0].Metadata = program.Instructions[start].Metadata
	spliced := append(asm.Instructions{}, program.Instructions[:start]...)
	spliced = append(spliced, body...)
	program.Instructions = append(spliced, program.Instructions[end:]...)
	return nil
}
