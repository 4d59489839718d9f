package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if handled, code := hubMain(); handled {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestTenGateways wants each record of ten gateways to be with a real hub, once and in its order.
func TestTenGateways(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a hub, which the race detector makes slow")
	}
	r, err := measure(t.Context(), options{rate: 5000, seconds: 2, hubDir: t.TempDir(), memory: t.TempDir()}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if r.Offered != 10_000 || r.Stored != r.Offered || r.Repeated != 0 || r.Messages == 0 || r.HubRSS == 0 || r.P99 < r.P50 || r.P50 == 0 {
		t.Errorf("%+v", r)
	}
	t.Log(r)
	if svg, err := picture([]result{r, r}); err != nil || len(svg) < 1000 {
		t.Errorf("picture: %d bytes, %v", len(svg), err)
	}
}
