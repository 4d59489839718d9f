package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSilentNetworkIsNotRun: where all that the network can say is 0, the packets are those that it would draw.
func TestSilentNetworkIsNotRun(t *testing.T) {
	m := mustModel(t, RecipeGAN)
	if mustSampler(t, m, "ping", 1).net == nil {
		t.Error("a network with weights is not run")
	}
	clear(m.Net.Weights[len(m.Net.Weights)-1])
	silent, run := mustSampler(t, m, "ping", 1), mustSampler(t, m, "ping", 1)
	if silent.net != nil {
		t.Error("a silent network is run")
	}
	run.net = newForward(m.Net, gateBatch)
	run.input = run.net.input
	if diff := cmp.Diff(packets(t, run, 3*gateBatch), packets(t, silent, 3*gateBatch)); diff != "" {
		t.Errorf("packets (-run +not run):\n%s", diff)
	}
}
