package hub

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"pacgan-appliance/internal/fleet"
)

var update = flag.Bool("update", false, "write the shipped examples anew")

// TestShippedExamples holds packaging/fleet against what Init writes, but that its keys are nobody's.
func TestShippedExamples(t *testing.T) {
	accounts := accountsHead
	for i, m := range []struct {
		role fleet.Role
		name string
	}{{fleet.Hub, "hub"}, {fleet.Trainer, "big"}, {fleet.Gateway, "lab-a"}} {
		pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, bytes.Repeat([]byte{byte(i)}, 32))
		if err != nil {
			t.Fatal(err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		accounts += user(m.role, m.name, public)
	}
	for name, want := range map[string]string{
		AccountsFile: accounts + endOfMembers + accountsTail,
		ConfigFile:   config("/var/lib/pacgan-appliance-hub", Plan{Hosts: []string{"hub.lab.example"}, Port: 4222}),
	} {
		path := filepath.Join("..", "..", "..", "packaging", "fleet", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-what init writes +shipped; -update writes it anew):\n%s", path, diff)
		}
	}
	if o, err := read(filepath.Join("..", "..", "..", "packaging", "fleet", AccountsFile)); err == nil || o != nil {
		t.Error("accounts alone make no hub, and were taken for one")
	}
}
