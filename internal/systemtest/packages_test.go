package systemtest

import (
	"net"
	"strings"
	"testing"

	"pacgan-appliance/internal/lab"
)

const (
	configFile = "/etc/pacgan-appliance/config.toml"
	stateDir   = "/var/lib/pacgan-appliance"
	enabled    = "/etc/systemd/system/multi-user.target.wants/pacgan-appliance.service" // Debian keeps it until a purge
)

// TestPackages is the life of a package, of each kind: installed and configured by the README's
// commands it trains by itself, injects and is answered; it survives what may happen to it, and
// leaves as it should.
func TestPackages(t *testing.T) {
	requireTree(t)
	first, second := mustPackage(t, "1.0.0"), mustPackage(t, "1.0.1")
	network, err := lab.New(lab.Options{Servers: lab.System, Seed: 5})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	t.Run("deb", func(t *testing.T) { testDebian(mustBoot(t), network, first, second) })
	t.Run("rpm", func(t *testing.T) { testRPM(mustBoot(t), network, first, second) })
}

func testDebian(m *machine, network *lab.Lab, first, second string) {
	m.give(first, "deb")
	m.newcomer(network)
	m.checkUnit()
	m.hub()
	m.learnAgain()
	m.reload()
	m.agree()
	m.hang()

	m.give(second, "deb")
	m.upgrade("apt-get install -y ./pacgan-appliance_1.0.1-1_*.deb")
	m.stop()
	m.run("systemctl start pacgan-appliance")
	m.run("apt-get remove -y pacgan-appliance")
	m.gone()
	m.kept(configFile, stateDir+"/models/current", stateDir+"/data")
	m.run("dpkg --purge pacgan-appliance")
	m.lacks("/etc/pacgan-appliance", stateDir, enabled)
}

// testRPM has no dependencies looked at: Debian's rpm knows of none that is installed.
func testRPM(m *machine, network *lab.Lab, first, second string) {
	m.give(first, "rpm")
	m.run("rpm -i --nodeps ./pacgan-appliance-1.0.0-1.*.rpm")
	if got := m.property("ActiveState"); got != "inactive" {
		m.t.Errorf("installed, the daemon is %s: installing must start nothing", got)
	}
	m.quicken()
	commands := readmeCommands(m.t, "install")
	for _, command := range commands[1 : len(commands)-1] {
		m.run(command)
	}
	m.firstAnswer(network)
	m.learnAgain()
	m.reload()
	m.agree()
	m.hang()

	m.give(second, "rpm")
	m.upgrade("rpm -U --nodeps ./pacgan-appliance-1.0.1-1.*.rpm")
	m.stop()
	m.run("systemctl start pacgan-appliance")
	m.run("rpm -e pacgan-appliance")
	m.gone()
	m.lacks(enabled)
	m.kept(configFile+".rpmsave", stateDir+"/models/current", stateDir+"/data")
}

// newcomer goes the README's way from the package to the first answered packet.
func (m *machine) newcomer(network *lab.Lab) {
	m.t.Helper()
	commands := readmeCommands(m.t, "install")
	if len(commands) > 5 {
		m.t.Errorf("the README's way to the first answered packet takes %d commands, at most 5 are wanted", len(commands))
	}
	m.run(commands[0])
	if got := m.property("ActiveState") + ", " + m.property("UnitFileState"); got != "inactive, disabled" {
		m.t.Errorf("after %q the daemon is %s: installing must start nothing", commands[0], got)
	}
	m.startUnconfigured()
	m.quicken()
	for _, command := range commands[1 : len(commands)-1] {
		m.run(command)
	}
	if got := m.property("ActiveState"); got != "active" { // Type=notify: it has said READY
		m.t.Errorf("after %q the daemon is %s, want active", commands[len(commands)-2], got)
	}
	m.firstAnswer(network)
	last := commands[len(commands)-1]
	if got := m.run(last); !strings.Contains(got, "answered (") {
		m.t.Errorf("%q does not tell what is answered:\n%s", last, got)
	}
}

// startUnconfigured starts the daemon as it is shipped: it says which lines to write.
func (m *machine) startUnconfigured() {
	m.t.Helper()
	journal := func() string { return m.run("journalctl -u pacgan-appliance -o cat --no-pager") }
	m.edit(configFile, `lan = "lan0"`, `lan = "nosuch0"`)
	if out, err := m.try("systemctl start pacgan-appliance"); err == nil {
		m.t.Errorf("the daemon starts without its interface: %s", out)
	}
	if got, want := journal(), `no interface gateway.lan "nosuch0"; write lan = "INTERFACE" under [gateway], and allow = ["NETWORK/BITS"] under [safety]`; !strings.Contains(got, want) {
		m.t.Errorf("a start without an interface does not say %q:\n%s", want, got)
	}
	m.run("systemctl stop pacgan-appliance") // which is to be started again in a while
	m.edit(configFile, `lan = "nosuch0"`, `lan = "lan0"`)
	m.run("systemctl start pacgan-appliance")
	if got, want := journal(), `nothing is let out: safety.allow is empty; write allow = ["NETWORK/BITS"] under [safety]`; !strings.Contains(got, want) {
		m.t.Errorf("a start with an empty allow-list does not say %q:\n%s", want, got)
	}
	m.run("systemctl stop pacgan-appliance")
}

// quicken changes what the shipped config takes hours for: a model comes in seconds, and another
// soon after.
func (m *machine) quicken() {
	m.t.Helper()
	m.edit(configFile, `schedule = "0 */6 * * *"`, `schedule = "@every 10s"`, `recipe = "gan"`, `recipe = "tree"`)
}

// firstAnswer has clients talk to the servers until the daemon has learned from them.
func (m *machine) firstAnswer(network *lab.Lab) {
	m.t.Helper()
	for _, some := range []struct {
		label   string
		packets int // the shipped config wants 500
	}{{"http", 2000}, {"dns", 2000}, {"ping", 600}} { // trees learn ping from few; it is what the training waits for
		must(m.t, network.Traffic(m.t.Context(), some.label, some.packets, nil))
	}
	eventually(m.t, "no packet is answered", func() bool { return m.status().All.Answered > 0 })
}

// learnAgain waits for the model of the schedule.
func (m *machine) learnAgain() {
	m.t.Helper()
	first := m.status().Model.ID
	eventually(m.t, "no second model is trained and promoted on schedule", func() bool { return m.status().Model.ID != first })
}

// reload changes the rate and the schedule.
func (m *machine) reload() {
	m.t.Helper()
	m.edit(configFile, "rate = 50.0", "rate = 300.0", `schedule = "@every 10s"`, `schedule = "0 */6 * * *"`)
	pid := m.property("MainPID")
	m.run("systemctl reload pacgan-appliance")
	if s := m.status(); s.Rate != 300 || m.property("MainPID") != pid {
		m.t.Errorf("after a reload the rate is %v, want 300, and process %s is %s", s.Rate, pid, m.property("MainPID"))
	}
}

// checkUnit has systemd look at the installed units.
func (m *machine) checkUnit() {
	m.t.Helper()
	if out := m.run("systemd-analyze verify --man=no pacgan-appliance.service pacgan-appliance.socket pacgan-appliance-hub.service"); out != "" {
		m.t.Errorf("systemd-analyze verify: %s", out)
	}
	m.run("systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/pacgan-appliance.service")
}

// hang stops the daemon's process as a hung one is: the watchdog ends it, and it starts again.
func (m *machine) hang() {
	m.t.Helper()
	m.run("mkdir -p /run/systemd/system/pacgan-appliance.service.d && " +
		`printf '[Service]\nWatchdogSec=3\nRestartSec=1\n' >/run/systemd/system/pacgan-appliance.service.d/test.conf && ` +
		"systemctl daemon-reload && systemctl restart pacgan-appliance")
	model, pid := m.status().Model.ID, m.property("MainPID")
	if n := m.property("NRestarts"); n != "0" {
		m.t.Fatalf("%s restarts before the daemon hangs", n)
	}
	m.run("kill -STOP " + pid)
	eventually(m.t, "the watchdog does not restart the daemon", func() bool {
		return m.property("NRestarts") != "0" && m.property("ActiveState") == "active"
	})
	if got := m.run("journalctl -u pacgan-appliance -o cat --no-pager"); !strings.Contains(got, "Watchdog timeout") {
		m.t.Errorf("the journal tells of no watchdog:\n%s", got)
	}
	m.goesOn(model)
	m.run("rm -r /run/systemd/system/pacgan-appliance.service.d && systemctl daemon-reload && systemctl restart pacgan-appliance")
}

// goesOn waits for answers to packets of a model.
func (m *machine) goesOn(model string) {
	m.t.Helper()
	before := m.status()
	if before.Model == nil || before.Model.ID != model {
		m.t.Fatalf("the model is %+v, want %s", before.Model, model)
	}
	eventually(m.t, "nothing more is answered", func() bool { return m.status().All.Answered > before.All.Answered })
}

// upgrade installs the second version over the first, whose config was edited.
func (m *machine) upgrade(command string) {
	m.t.Helper()
	before, config, pid := m.status(), m.read(configFile), m.property("MainPID")
	m.run(command)
	if got := m.property("MainPID"); got == pid || m.property("ActiveState") != "active" {
		m.t.Errorf("after an upgrade process %s of before is %s, %s: want another, active", pid, got, m.property("ActiveState"))
	}
	after := m.status()
	if after.Version != "1.0.1" || before.Version != "1.0.0" {
		m.t.Errorf("version %s after an upgrade of %s, want 1.0.1 and 1.0.0", after.Version, before.Version)
	}
	for i, l := range after.Labels {
		if was := before.Labels[i]; l.Generated < was.Generated || l.Answered < was.Answered {
			m.t.Errorf("%s: %d of %d answered after an upgrade, %d of %d before: counts are lost", l.Label, l.Answered, l.Generated, was.Answered, was.Generated)
		}
	}
	if got := m.read(configFile); got != config {
		m.t.Errorf("the upgrade changes the config that a person had edited:\n%s", got)
	}
	m.goesOn(before.Model.ID)
}

// stop takes less than five seconds by systemd's own clock, and takes everything off the network.
func (m *machine) stop() {
	m.t.Helper()
	m.run("systemctl stop pacgan-appliance")
	if took := m.number("InactiveEnterTimestampMonotonic") - m.number("ActiveExitTimestampMonotonic"); took <= 0 || took > 5_000_000 {
		m.t.Errorf("stopping takes %d us, want less than 5 s", took)
	}
	if got := m.property("Result"); got != "success" {
		m.t.Errorf("stopping ends with %s", got)
	}
	if _, err := net.InterfaceByName("inj0"); err == nil {
		m.t.Error("the injection cable outlives the daemon")
	}
}

// gone checks what no package leaves behind.
func (m *machine) gone() {
	m.t.Helper()
	if out, err := m.try("pidof pacgan-appliance"); err == nil {
		m.t.Errorf("a process outlives the package: %s", out)
	}
	m.lacks("/usr/bin/pacgan-appliance", "/usr/lib/systemd/system/pacgan-appliance.service", "/run/pacgan-appliance")
}

func (m *machine) lacks(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if m.exists(path) {
			m.t.Errorf("%s is still there", path)
		}
	}
}

// kept checks what only a person may throw away.
func (m *machine) kept(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if !m.exists(path) {
			m.t.Errorf("removing takes %s away", path)
		}
	}
}
