package fleet_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"lab-a": true, "a": true, strings.Repeat("x", 32): true,
		"": false, "all": false, "A": false, "a.b": false, "a*": false, ">": false, "-a": false, "a-": false, strings.Repeat("x", 33): false,
	} {
		if err := fleet.CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

// TestSetupTwice wants a hub that comes back to find its streams and leave them.
func TestSetupTwice(t *testing.T) {
	_, js := fleettest.Hub(t, "a")
	if _, err := js.Publish(t.Context(), fleet.TruthSubject("a"), []byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	if err := fleet.Setup(t.Context(), js, fleet.Bounds{TruthBytes: 1 << 30, DataBytes: 1 << 28, ModelBytes: 1 << 28, Replicas: 1}, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), fleet.TruthStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages after the second Setup, want 1", n)
	}
}

func TestBadKeys(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.nk")
	if err := os.WriteFile(bad, []byte("SUANOTASEED\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, bad + ".missing"} {
		_, err := fleet.Connect(fleet.Options{URL: "nats://127.0.0.1:4", Name: "a", Key: path, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.HasPrefix(err.Error(), "fleet.key") || strings.Contains(err.Error(), "\n") {
			t.Errorf("key %s: %v", filepath.Base(path), err)
		}
	}
}
