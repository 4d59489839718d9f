// Package hook puts a classifier program on an interface: by TCX where the
// kernel has it (6.6), else through a clsact qdisc. It knows nothing of what
// the programs do.
package hook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Direction says which way the packets go that a program sees.
type Direction int

// The two directions, as the interface sees them.
const (
	Ingress Direction = iota // from the wire into this machine
	Egress                   // from this machine onto the wire
)

// String is the direction's name in messages.
func (d Direction) String() string {
	if d == Ingress {
		return "ingress"
	}
	return "egress"
}

// Attachment is a program on an interface, until Close.
type Attachment interface {
	// Replace puts another program in its place at once: every packet meets
	// one of the two. The error leaves the old one there.
	Replace(*ebpf.Program) error
	io.Closer
}

// NoTCX is logged, once for each program, where clsact stands in for TCX.
const NoTCX = "this kernel has no TCX (6.6 has): attached through clsact, which a killed process leaves behind"

// Attach puts prog on the interface in the calling thread's network
// namespace. The program is gone once the result is closed and, where TCX
// holds it, once the process has died; a clsact filter of a killed process
// stays until Clean, or the next Attach of a program of that name there.
// Programs must return -1 (TC_ACT_UNSPEC, TCX_NEXT) to let a packet pass,
// which means the same in both.
func Attach(prog *ebpf.Program, ifindex int, dir Direction) (Attachment, error) {
	return attach(attachTCX, prog, ifindex, dir)
}

// attachFunc is one way of attaching; a test puts an old kernel's answer in
// the place of attachTCX.
type attachFunc func(*ebpf.Program, int, Direction) (Attachment, error)

func attach(first attachFunc, prog *ebpf.Program, ifindex int, dir Direction) (Attachment, error) {
	c, err := first(prog, ifindex, dir)
	if errors.Is(err, ebpf.ErrNotSupported) {
		slog.Info(NoTCX, "component", "hook", "interface", ifindex, "direction", dir.String())
		return attachClsact(prog, ifindex, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("interface %d: attach %s program: %w", ifindex, dir, err)
	}
	return c, nil
}

func attachTCX(prog *ebpf.Program, ifindex int, dir Direction) (Attachment, error) {
	at := ebpf.AttachTCXIngress
	if dir == Egress {
		at = ebpf.AttachTCXEgress
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: prog, Attach: at})
	if err != nil {
		return nil, err
	}
	return tcxLink{l}, nil
}

// tcxLink is an attached link.
type tcxLink struct {
	link.Link
}

// Replace implements Attachment by BPF_LINK_UPDATE.
func (l tcxLink) Replace(prog *ebpf.Program) error {
	if err := l.Update(prog); err != nil {
		return fmt.Errorf("replace program: %w", err)
	}
	return nil
}
