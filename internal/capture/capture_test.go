package capture

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

// TestOpenErrors pins the texts.
func TestOpenErrors(t *testing.T) {
	labels := mustLabels(t, "ip")
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"missing interface", Options{Interface: "lan9", Labels: labels},
			"capture: no interface \"lan9\": see `ip link` for those there are, and gateway.lan in the config"},
		{"no labels", Options{Interface: "lo"}, "capture on lo: 0 labels: 1 to 32 are possible"},
		{"many labels", Options{Interface: "lo", Labels: make([]Label, 33)}, "capture on lo: 33 labels: 1 to 32 are possible"},
		{"snap length", Options{Interface: "lo", Labels: labels, SnapBytes: 20000},
			"capture on lo: snap length 20000: must be 1 to 16384 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.o)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNoEthernet(t *testing.T) {
	labtest.RequireRoot(t)
	mustRun(t, command("ip", "tuntap", "add", "tun9", "mode", "tun"))
	defer mustRun(t, command("ip", "tuntap", "del", "tun9", "mode", "tun"))
	_, err := Open(Options{Interface: "tun9", Labels: mustLabels(t, "ip")})
	want := `capture: interface "tun9" carries no Ethernet frames (its type is none): name the interface that the clients are behind`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestWithoutPrivilege drops the thread's capabilities, as an unprivileged user has none.
func TestWithoutPrivilege(t *testing.T) {
	labels := mustLabels(t, "ip")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	none := caps
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Interface: "lo", Labels: labels})
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	want := "capture on lo: not permitted: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
