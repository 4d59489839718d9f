package systemtest

import (
	"encoding/json"
	"strings"
	"testing"

	"pacgan-appliance/internal/appliance"
	"pacgan-appliance/internal/lab"
)

const configFile = "/etc/pacgan-appliance/config.toml"

// mustLab is a network of real clients and servers, whose gateway is the test.
func mustLab(t *testing.T) *lab.Lab {
	t.Helper()
	network, err := lab.New(lab.Options{Servers: lab.System, Seed: 5})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	return network
}

// status is what the daemon says of itself.
func (m *machine) status() (s appliance.Status) {
	m.t.Helper()
	must(m.t, json.Unmarshal([]byte(m.run("pacgan-appliance status --json")), &s))
	return s
}

// TestDebian is the life of the .deb: installed and configured by the README's commands, it trains
// by itself, injects and is answered; it survives what may happen to it; it leaves as it should.
func TestDebian(t *testing.T) {
	requireTree(t)
	commands := readmeCommands(t, "install")
	if len(commands) > 5 {
		t.Errorf("the README's way to the first answered packet takes %d commands, at most 5 are wanted", len(commands))
	}
	first := mustPackage(t, "1.0.0")
	network := mustLab(t)
	m := mustBoot(t)
	m.give(first, "deb")

	m.run(commands[0])
	if got := m.property("ActiveState"); got != "inactive" {
		t.Errorf("after %q the daemon is %s: installing must start nothing", commands[0], got)
	}
	// A model in seconds, and another soon after; the README's way has the shipped recipe.
	m.edit(configFile, `schedule = "0 */6 * * *"`, `schedule = "@every 15s"`, `recipe = "gan"`, `recipe = "tree"`)
	for _, command := range commands[1 : len(commands)-1] {
		m.run(command)
	}
	if got := m.property("ActiveState"); got != "active" {
		t.Errorf("after %q the daemon is %s, want active: READY", commands[len(commands)-2], got)
	}
	for _, label := range lab.Labels() {
		must(t, network.Traffic(t.Context(), label, 600, nil))
	}
	eventually(t, "no packet is answered", func() bool {
		return m.status().All.Answered > 0
	})
	if got := m.run(commands[len(commands)-1]); !strings.Contains(got, "answered") {
		t.Errorf("%q does not tell what is answered:\n%s", commands[len(commands)-1], got)
	}
	t.Log(m.run(commands[len(commands)-1]))
	t.Log(m.property("StatusText"))
}
