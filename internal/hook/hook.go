// Package hook puts a classifier program on an interface: by TCX where the
// kernel has it (6.6), else through a clsact qdisc. It knows nothing of what
// the programs do.
package hook

import (
	"errors"
	"fmt"
	"io"

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

// Attach puts prog on the interface in the calling thread's network
// namespace. The program is gone once the result is closed and, where TCX
// holds it, once the process has died; a clsact filter of a killed process
// stays until the next Attach on that interface and direction replaces it.
// Programs must return -1 (TC_ACT_UNSPEC, TCX_NEXT) to let a packet pass,
// which means the same in both.
func Attach(prog *ebpf.Program, ifindex int, dir Direction) (io.Closer, error) {
	l, err := attachTCX(prog, ifindex, dir)
	if errors.Is(err, ebpf.ErrNotSupported) {
		return attachClsact(prog, ifindex, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("interface %d: attach %s program: %w", ifindex, dir, err)
	}
	return l, nil
}

func attachTCX(prog *ebpf.Program, ifindex int, dir Direction) (link.Link, error) {
	attach := ebpf.AttachTCXIngress
	if dir == Egress {
		attach = ebpf.AttachTCXEgress
	}
	return link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: prog, Attach: attach})
}
