package gateway

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
)

const netAdmin = 1 << unix.CAP_NET_ADMIN

// TestLegacy has iptables-legacy write rules, and looks for them as root and
// as the daemon's user, who cannot read the kernel's list of tables.
func TestLegacy(t *testing.T) {
	labtest.NewCable(t, labtest.Cable{Near: "wan0", Far: "far0"})
	mustNFT(t, "flush ruleset\n")
	if _, err := os.Stat(legacyNames); err != nil {
		t.Skipf("this kernel has no iptables-legacy: %v", err)
	}
	for _, step := range []struct {
		name string
		rule []string
		want error
	}{
		{"never used", nil, nil},
		{"a table without rules", []string{"-n", "-L"}, nil},
		{"a rule", []string{"-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE"}, ErrLegacy},
		{"flushed", []string{"-F"}, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.rule != nil {
				out, err := exec.Command("iptables-legacy", append([]string{"-w", "-t", "nat"}, step.rule...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("iptables-legacy: %v\n%s", err, out)
				}
			}
			index := mustIndex(t, "wan0")
			if place, err := Masquerade("wan0", index); !errors.Is(err, step.want) || place != "" {
				t.Errorf("as root: %q, %v, want %v", place, err, step.want)
			}
			place, err := asUser(netAdmin, func() (string, error) { return Masquerade("wan0", index) })
			if !errors.Is(err, step.want) || place != "" {
				t.Errorf("as a user with CAP_NET_ADMIN: %q, %v, want %v", place, err, step.want)
			}
		})
	}
	t.Run("without a capability", func(t *testing.T) {
		if _, err := asUser(0, func() (string, error) { _, err := legacyNAT(); return "", err }); !errors.Is(err, unix.EPERM) {
			t.Errorf("%v, want EPERM: who may not ask has not found none", err)
		}
	})
}

// asUser calls f in a thread of user nobody with some capabilities. The thread
// ends with it.
func asUser(capabilities uint32, f func() (string, error)) (place string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever
		if err = become(capabilities); err == nil {
			place, err = f()
		}
	}()
	<-done
	return place, err
}

// become drops everything that root may, of the calling thread alone.
func become(capabilities uint32) error {
	const nobody = 65534
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
		return errno
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: capabilities, Permitted: capabilities}} // capabilities 0 to 31, and the rest
	return unix.Capset(&header, &data[0])
}

func TestLegacyLoaded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		modules []string
		want    bool
	}{
		{"built in", nil, true},
		{"tables without nat", []string{"ip_tables", "iptable_filter"}, false},
		{"nat", []string{"ip_tables", "iptable_nat"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, m := range tt.modules {
				if err := os.Mkdir(filepath.Join(dir, m), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if got := legacyLoaded(dir); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
