package fleet_test

import (
	"bytes"
	"errors"
	"testing"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/fleettest"
)

func mustSeal(tb testing.TB, by, subject, text string) []byte {
	tb.Helper()
	sealed, err := fleet.Seal(fleettest.Key(tb, by), subject, []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

// TestOpen: what is sealed is believed of its writer alone, for its subject alone, and as it was written alone.
func TestOpen(t *testing.T) {
	hub, sealed := fleettest.Public(t, "hub"), mustSeal(t, "hub", "to.a", "text\nof two lines")
	for _, tt := range []struct {
		name, public, subject string
		sealed                []byte
		ok                    bool
	}{
		{"as written", hub, "to.a", sealed, true},
		{"nothing in it", hub, "to.a", mustSeal(t, "hub", "to.a", ""), true},
		{"for another", hub, "to.b", sealed, false},
		{"by another", fleettest.Public(t, "b"), "to.a", sealed, false},
		{"by nobody", "", "to.a", sealed, false},
		{"changed", hub, "to.a", bytes.Replace(sealed, []byte("two"), []byte("one"), 1), false},
		{"longer", hub, "to.a", append(bytes.Clone(sealed), 'x'), false},
		{"not sealed", hub, "to.a", []byte(`{"action":"resume"}`), false},
		{"empty", hub, "to.a", nil, false},
	} {
		text, err := fleet.Open(tt.public, tt.subject, tt.sealed)
		if (err == nil) != tt.ok || err != nil && (!errors.Is(err, fleet.ErrForged) || text != nil) {
			t.Errorf("%s: %q, %v", tt.name, text, err)
		}
	}
}

// FuzzOpen: nothing that anybody may have written is taken for the hub's, but what it sealed.
func FuzzOpen(f *testing.F) {
	hub, sealed := fleettest.Public(f, "hub"), mustSeal(f, "hub", "to.a", "text")
	f.Add(sealed)
	f.Add(mustSeal(f, "b", "to.a", "text"))
	f.Add(mustSeal(f, "hub", "to.b", "text"))
	f.Add([]byte("\n{}"))
	f.Fuzz(func(t *testing.T, value []byte) {
		defer bounded.Input(t, len(value))()
		text, err := fleet.Open(hub, "to.a", value)
		if err == nil && !bytes.Equal(value, sealed) {
			t.Errorf("%q is taken for the hub's: %q", value, text)
		}
	})
}
