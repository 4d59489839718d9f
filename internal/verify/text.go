package verify

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// MaxContains is the longest text that a response can be searched for, in bytes.
const MaxContains = 255

// textFound is TEXT_FOUND in bpf/text.h.
const textFound = 255

// setText has a label's responses searched for a text; "" for none.
func (v *Verifier) setText(index int, text string) error {
	if text == "" {
		return nil // the rule does not ask for one
	}
	if len(text) > MaxContains {
		return fmt.Errorf("text of %d bytes that responses must hold: at most %d are possible", len(text), MaxContains)
	}
	spec, err := loadMatch()
	if err != nil {
		return fmt.Errorf("read match program: %w", err)
	}
	holder, err := ebpf.NewMap(spec.Maps[matchMapTextNone])
	if err != nil {
		return fmt.Errorf("make automaton: %w", err)
	}
	defer holder.Close() // the matcher's map holds it
	if err := holder.Put(uint32(0), automatonOf(text)); err != nil {
		return fmt.Errorf("write automaton: %w", err)
	}
	if err := v.match.Texts.Put(uint32(index), holder); err != nil {
		return fmt.Errorf("hand automaton to the matcher: %w", err)
	}
	return nil
}

// automatonOf is the automaton of Knuth, Morris and Pratt: state n says that
// the last n bytes are the text's first n.
func automatonOf(text string) *matchAutomaton {
	a := &matchAutomaton{}
	fallback := 0 // the state after the text without its first byte, so far
	for state := range len(text) {
		row := a.Next[state*256 : (state+1)*256]
		copy(row, a.Next[fallback*256:(fallback+1)*256])
		row[text[state]] = uint8(state + 1)
		if state+1 == len(text) {
			row[text[state]] = textFound
		}
		if state > 0 {
			fallback = int(a.Next[fallback*256+int(text[state])])
		}
	}
	return a
}
