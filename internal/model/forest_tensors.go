package model

import "fmt"

// The number of fields of Shape and Slot.
const (
	shapeFields = 3
	slotFields  = 7

	derivedFields = 5
)

// tensors returns the forest as the tensors of a model's file.
func (f *Forest) tensors(prefix string) []Tensor {
	shapes := make([]uint32, 0, shapeFields*len(f.Shapes))
	for _, s := range f.Shapes {
		shapes = append(shapes, s.Count, uint32(s.Slots), uint32(s.Draws))
	}
	slots := make([]int32, 0, slotFields*len(f.Slots))
	for _, s := range f.Slots {
		slots = append(slots, int32(s.Kind), s.Root, s.Word, s.Size, s.Add, s.Width, s.At)
	}
	var words []byte
	ends := make([]int32, 0, len(f.Words))
	for _, w := range f.Words {
		words = append(words, w...)
		ends = append(ends, int32(len(words)))
	}
	tensors := []Tensor{
		{prefix + "shapes", []int{len(f.Shapes), shapeFields}, shapes},
		{prefix + "slots", []int{len(f.Slots), slotFields}, slots},
		{prefix + "words", []int{len(words)}, words},
		{prefix + "word_end", []int{len(ends)}, ends},
		{prefix + "order", []int{len(f.Order)}, f.Order},
		{prefix + "split", []int{len(f.Split)}, f.Split},
		{prefix + "first_kid", []int{len(f.FirstKid)}, f.FirstKid},
		{prefix + "kid_value", []int{len(f.KidValue)}, f.KidValue},
		{prefix + "kid", []int{len(f.Kid)}, f.Kid},
		{prefix + "first", []int{len(f.First)}, f.First},
		{prefix + "value", []int{len(f.Value)}, f.Value},
		{prefix + "count", []int{len(f.Count)}, f.Count},
	}
	if len(f.Derived) == 0 {
		return tensors
	}
	derived := make([]int32, 0, derivedFields*len(f.Derived))
	for _, d := range f.Derived {
		derived = append(derived, d.From, d.Slots, int32(d.Read), int32(d.Write), d.Add)
	}
	return append(tensors, Tensor{prefix + "derived", []int{len(f.Derived), derivedFields}, derived})
}

// take fills the forest with its tensors. Whether they make sense is for validate to say.
func (f *Forest) take(box tensorBox, prefix string) error {
	var (
		shapes      []uint32
		slots, ends []int32
		words       []byte
	)
	for _, err := range []error{
		take(box, prefix+"shapes", &shapes), take(box, prefix+"slots", &slots),
		take(box, prefix+"words", &words), take(box, prefix+"word_end", &ends),
		take(box, prefix+"order", &f.Order), take(box, prefix+"split", &f.Split),
		take(box, prefix+"first_kid", &f.FirstKid), take(box, prefix+"kid_value", &f.KidValue),
		take(box, prefix+"kid", &f.Kid), take(box, prefix+"first", &f.First),
		take(box, prefix+"value", &f.Value), take(box, prefix+"count", &f.Count),
	} {
		if err != nil {
			return err
		}
	}
	if len(shapes)%shapeFields != 0 || len(slots)%slotFields != 0 {
		return fmt.Errorf("tensors %sshapes and slots have %d and %d numbers: not multiples of %d and %d",
			prefix, len(shapes), len(slots), shapeFields, slotFields)
	}
	for ; len(shapes) > 0; shapes = shapes[shapeFields:] {
		f.Shapes = append(f.Shapes, Shape{shapes[0], int32(shapes[1]), int32(shapes[2])})
	}
	for ; len(slots) > 0; slots = slots[slotFields:] {
		f.Slots = append(f.Slots, Slot{SlotKind(slots[0]), slots[1], slots[2], slots[3], slots[4], slots[5], slots[6]})
	}
	if err := f.takeDerived(box, prefix+"derived"); err != nil {
		return err
	}
	begin := int32(0)
	for i, end := range ends {
		if end < begin || int(end) > len(words) {
			return fmt.Errorf("tensor %sword_end: word %d has bytes %d to %d of %d", prefix, i, begin, end, len(words))
		}
		f.Words = append(f.Words, words[begin:end:end])
		begin = end
	}
	if int(begin) != len(words) {
		return fmt.Errorf("tensor %swords: %d of %d bytes belong to no word", prefix, len(words)-int(begin), len(words))
	}
	return nil
}

// takeDerived takes the derivations, a tensor that only forests with some have.
func (f *Forest) takeDerived(box tensorBox, name string) error {
	if _, some := box[name]; !some {
		return nil
	}
	var derived []int32
	if err := take(box, name, &derived); err != nil {
		return err
	}
	if len(derived)%derivedFields != 0 {
		return fmt.Errorf("tensor %s has %d numbers: not a multiple of %d", name, len(derived), derivedFields)
	}
	for ; len(derived) > 0; derived = derived[derivedFields:] {
		f.Derived = append(f.Derived, Derivation{derived[0], derived[1], Form(derived[2]), Form(derived[3]), derived[4]})
	}
	return nil
}
