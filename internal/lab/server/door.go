package server

import (
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// ShutDoor drops all IPv4 that arrives on an interface of this network namespace until the door is
// closed again (Close opens it). ARP still passes. Servers behind it are like machines switched off
// behind their switch: not one RST, ICMP error or echo reply comes back, which a kernel whose server
// processes have merely ended would send.
//
// The program runs in veth's own XDP hook: generic XDP passes frames that another program redirected
// (skb_is_redirected in the kernel's netif_receive_generic_xdp), and injected frames are such.
func ShutDoor(name string) (io.Closer, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("shut %s: %w", name, err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "lab_door", Type: ebpf.XDP, License: "GPL", Instructions: door()})
	if err != nil {
		return nil, fmt.Errorf("shut %s: %w", name, err)
	}
	defer prog.Close() // the link keeps it
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: iface.Index, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("shut %s: %w", name, err)
	}
	return l, nil
}

// door is: if the frame has an Ethernet header and its type is IPv4, drop, else pass.
func door() asm.Instructions {
	const drop, pass = 1, 2 // XDP_DROP, XDP_PASS
	const data, dataEnd = 0, 4
	const etherType, headerLen = 12, 14
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, data, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, dataEnd, asm.Word),
		asm.Mov.Imm(asm.R0, pass),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, headerLen),
		asm.JGT.Reg(asm.R4, asm.R3, "out"),
		asm.LoadMem(asm.R5, asm.R2, etherType, asm.Half),
		asm.HostTo(asm.BE, asm.R5, asm.Half),
		asm.JNE.Imm(asm.R5, 0x0800, "out"),
		asm.Mov.Imm(asm.R0, drop),
		asm.Return().WithSymbol("out"),
	}
}
