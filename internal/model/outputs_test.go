package model

import "testing"

func TestOutputsRefusesPartOfARow(t *testing.T) {
	n := &Net{Arch: Arch{Kind: NetGate, N: 8, D: 2, Noise: 3, Labels: 2, Channels: [3]int{1, 1, 1}}}
	_, err := n.Outputs(make([]float32, 7))
	if want := "run network gate on 7 values: rows have 5"; err == nil || err.Error() != want {
		t.Errorf("Outputs: %v, want %s", err, want)
	}
}
