package train

import (
	"slices"

	"pacgan-appliance/internal/model"
)

// derivedPart adds the slot of a part that repeats others. It is drawn when these are: among what varies in length if
// it does, else among the rest.
func (l *layoutBuilder) derivedPart(d *derivation) {
	slot := l.add(model.Slot{Kind: model.SlotDerived, Word: int32(len(l.derived)), Size: int32(d.target.size), Width: model.Leaf})
	l.derived = append(l.derived, model.Derivation{Read: d.source.form, Write: d.target.form, Add: d.add})
	l.parts = append(l.parts, d)
	v := variable{slot: slot, known: true}
	switch {
	case d.target.size > 0:
		l.later = append(l.later, v)
	case d.source.form == model.FormLength:
		l.counts = slices.Insert(l.counts, 0, v)
	default:
		l.first = append(l.first, v)
	}
}

// resolve sets the slots that derived ones read, which are known when all parts are laid out.
func (l *layoutBuilder) resolve() {
	for i, d := range l.parts {
		from, end := l.begins[d.first], l.begins[d.last+1]
		l.derived[i].From, l.derived[i].Slots = from, end-from
	}
}
