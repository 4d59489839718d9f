package model

import "fmt"

// derived checks a slot that repeats others: they are drawn before it, and it does not grow beyond measure.
func (c *shapeCheck) derived(slot int32) error {
	s := &c.Slots[slot]
	if s.Root != Leaf || s.Word < 0 || int(s.Word) >= len(c.Derived) || s.Size < 0 || s.Size >= Absent {
		return fmt.Errorf("root %d, derivation %d of %d, %d bytes", s.Root, s.Word, len(c.Derived), s.Size)
	}
	d := &c.Derived[s.Word]
	if d.From < int32(c.first) || d.Slots < 1 || int(d.Slots) > c.end-int(d.From) {
		return fmt.Errorf("reads %d slots from slot %d", d.Slots, d.From)
	}
	if d.Read < 0 || d.Read >= forms || d.Write < 0 || d.Write >= FormLength || (d.Read == FormRaw) != (d.Write == FormRaw) {
		return fmt.Errorf("reads form %d, writes form %d", d.Read, d.Write)
	}
	longest := 0
	for i := d.From; i < d.From+d.Slots; i++ {
		other := &c.Slots[i]
		switch {
		case d.Read == FormLength && !c.drawn[i] && c.varies(other):
			return fmt.Errorf("counts slot %d, which is drawn after it", i)
		case d.Read != FormLength && other.Kind == SlotLength:
			return fmt.Errorf("reads slot %d, a length", i)
		case d.Read != FormLength && other.Kind != SlotFixed && other.Kind != SlotBehind && !c.drawn[i]:
			return fmt.Errorf("reads slot %d, which is drawn after it", i)
		}
		longest += c.longest(i)
	}
	if d.Read != FormRaw {
		longest = longestNumber
	}
	if s.Size > 0 {
		longest = int(s.Size)
	}
	if c.bytes += longest; longest >= Absent || c.bytes > maxBytes {
		return fmt.Errorf("%d bytes", longest)
	}
	c.texts[slot] = longest
	return nil
}

// longest is the number of bytes that a slot writes at most.
func (c *shapeCheck) longest(slot int32) int {
	s, words := &c.Slots[slot], 1
	switch s.Kind {
	case SlotDigit:
		return 1
	case SlotLength:
		return int(s.Size)
	case SlotDerived:
		return c.texts[slot]
	case SlotWord:
		words = int(s.Size)
	case SlotChain:
		return int(s.At)
	case SlotWidth, SlotBehind, SlotToken:
		return 0
	}
	longest, first := 0, max(int(s.Word), 0)
	for at := first; at < min(int(s.Word)+words, len(c.Words)); at++ { // others, slot refuses
		longest = max(longest, len(c.Words[at]))
	}
	return longest
}
