package capture

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// Matcher runs a filter in user space, on frames that come from a file.
type Matcher struct {
	vm *bpf.VM
}

// Matcher is the filter as the kernel runs it, for frames in memory.
func (f Filter) Matcher() (*Matcher, error) {
	vm, err := bpf.NewVM(f.program)
	if err != nil {
		return nil, fmt.Errorf("filter %q cannot be run on a file: %w", f.expr, err)
	}
	return &Matcher{vm}, nil
}

// Match reports whether the filter takes a frame, given from its Ethernet
// header on. A read past the frame's end is no match, as in the kernel.
func (m *Matcher) Match(frame []byte) bool {
	n, err := m.vm.Run(frame)
	return err == nil && n > 0
}
