package oldkernel

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Files of the guest's initial file system.
const (
	modulesFile = "/modules" // kernel modules, in the order of loading
	testsFile   = "/tests"   // command lines, one for each test binary
)

// verdict begins the line with which the guest says how many failed.
const verdict = "guest: failed test binaries: "

// TestMain is also the guest's init.
func TestMain(m *testing.M) {
	if os.Getpid() == 1 && os.Args[0] == "/init" {
		failed, err := guest()
		if err != nil {
			fmt.Println("guest:", err)
			failed++
		}
		fmt.Printf("\n%s%d\n", verdict, failed)
		unix.Sync()
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	os.Exit(m.Run())
}

// guest runs the test binaries and counts those that failed.
func guest() (failed int, err error) {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return 0, fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := forEachLine(modulesFile, loadModule); err != nil {
		return 0, err
	}
	os.Setenv("PATH", "/bin")
	os.Setenv("PACGAN_REQUIRE_ROOT", "1")
	err = forEachLine(testsFile, func(line string) error {
		words := strings.Fields(line)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		fmt.Println("guest:", line)
		if err := cmd.Run(); err != nil {
			fmt.Printf("guest: %s: %v\n", words[0], err)
			failed++
		}
		return nil
	})
	return failed, err
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

func forEachLine(path string, do func(string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if err := do(lines.Text()); err != nil {
			return err
		}
	}
	return nil
}
