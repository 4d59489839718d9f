package inject_test

import (
	"testing"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/truth"
	"pacgan-appliance/internal/verify"
)

// TestSetLabel adds a label to an open pair of injector and matcher, and has
// one judged differently; the counts so far stay.
func TestSetLabel(t *testing.T) {
	n := newNetwork(t, networkOptions{labels: []verify.Label{{Name: "any", Answer: verify.AnswerReply}}})
	const added = 1
	list := pings(t, 100, pingServer)
	for i := range list {
		list[i].label = added
	}
	if _, err := n.injector.Run(t.Context(), &packets{list: list}, inject.RunOptions{}); err == nil || err.Error() != "inject: next packet: label 1 of 1" {
		t.Errorf("error %v of a label that is not there", err)
	}

	set := func(index int, l verify.Label) {
		t.Helper()
		n.scribe.Book.SetLabel(index, truth.Label{Name: l.Name})
		if err := n.verifier.SetLabel(index, l); err != nil {
			t.Fatal(err)
		}
		if err := n.injector.SetLabel(index, inject.Label{Name: l.Name, Expects: l.Answer != verify.AnswerNone}); err != nil {
			t.Fatal(err)
		}
		n.labels = append(n.labels[:index:index], l)
	}
	set(added, verify.Label{Name: "ping", Answer: verify.AnswerICMPEcho})
	if got := n.inject(t, list, inject.RunOptions{Rate: 2000})[added]; got.Answered != 100 || got.Label != "ping" {
		t.Errorf("answered %d of 100 under an added label: %+v", got.Answered, got)
	}
	set(added, verify.Label{Name: "ping", Answer: verify.AnswerNone})
	for i := range list { // others than before, whose replies are known
		list[i] = mustPing(t, "10.77.1.12", pingServer, 7, uint16(i), "another payload")
		list[i].label = added
	}
	got := n.inject(t, list, inject.RunOptions{Rate: 2000})[added]
	if got.Answered != 100 || got.Unasked != 100 || got.Generated != 200 {
		t.Errorf("%+v, want the 100 answered of before and 100 unasked", got)
	}
	for _, index := range []int{-1, 3, 64} {
		if err := n.injector.SetLabel(index, inject.Label{Name: "x"}); err == nil {
			t.Errorf("injector: label at %d of 2 is taken", index)
		}
		if err := n.verifier.SetLabel(index, verify.Label{Name: "x", Answer: verify.AnswerNone}); err == nil {
			t.Errorf("verifier: label at %d of 2 is taken", index)
		}
	}
}
