package systemtest

import "strings"

// Of the hub, on the machine.
const (
	hubUnit = "pacgan-appliance-hub"
	hubDir  = "/var/lib/" + hubUnit
)

// hub runs the hub's unit as it is shipped, but for the room that it keeps on a small disk: it says READY, the daemon of the
// same machine joins by what "hub init" made for it, survives a reload of the hub and its end, and leaves it again.
func (m *machine) hub() {
	m.t.Helper()
	state := func(property string) string { return m.run("systemctl show " + hubUnit + " --value -p " + property) }
	journal := func() string { return m.run("journalctl -u " + hubUnit + " -o cat --no-pager") }
	m.run("pacgan-appliance hub init " + hubDir + " --host 127.0.0.1 --gateway lab-a --trainer big")
	m.run("mkdir -p /run/systemd/system/" + hubUnit + ".service.d && printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/pacgan-appliance hub --config " +
		hubDir + "/hub.conf --truth 64MiB --models 64MiB --data 16MiB\\n' >/run/systemd/system/" + hubUnit + ".service.d/test.conf && systemctl daemon-reload")
	if out, err := m.try("systemctl start " + hubUnit); err != nil {
		m.t.Fatalf("the hub does not start: %s\n%s", out, journal())
	}
	if got := state("ActiveState") + ", " + state("DynamicUser") + ", " + state("MemoryMax"); got != "active, yes, 1073741824" { // Type=notify: it has said READY
		m.t.Errorf("the hub is %s", got)
	}
	config := m.read(configFile)
	m.run("cp -r " + hubDir + "/members/lab-a /etc/pacgan-appliance/fleet && chown -R root:pacgan /etc/pacgan-appliance/fleet && " +
		"cat /etc/pacgan-appliance/fleet/fleet.toml >>" + configFile + " && systemctl restart pacgan-appliance")
	eventually(m.t, "the daemon does not join the hub", func() bool { f := m.status().Fleet; return f != nil && f.Connected })
	eventually(m.t, "the hub does not hear of the daemon", func() bool {
		return strings.Contains(m.run("pacgan-appliance fleet list --hub "+hubDir), "lab-a")
	})
	m.run("systemctl reload " + hubUnit)
	eventually(m.t, "the hub does not reload", func() bool { return strings.Contains(journal(), "hub: config reloaded") })
	m.run("systemctl stop " + hubUnit)
	if got := state("ActiveState") + ", " + state("Result"); got != "inactive, success" {
		m.t.Errorf("stopped, the hub is %s\n%s", got, journal())
	}
	eventually(m.t, "the daemon does not miss the hub", func() bool { return !m.status().Fleet.Connected })
	m.write(configFile, config)
	m.run("rm -r /etc/pacgan-appliance/fleet && systemctl restart pacgan-appliance")
}
