package appliance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/capture"
	"pacgan-appliance/internal/inject"
)

// machineFindings look at what every config needs.
func machineFindings() []finding {
	return []finding{
		kernelFinding(kernelRelease()),
		capabilityFinding(effectiveCapabilities("/proc/self/status")),
		ebpfFinding(features.HaveProgramType(ebpf.SchedCLS), features.HaveMapType(ebpf.RingBuf)),
		btfFinding("/sys/kernel/btf/vmlinux"),
		vethFinding(),
		xdpFinding(),
		tcpdumpFinding(),
		otherFinding(),
	}
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// kernelFinding judges a release such as 6.1.0-13-amd64.
func kernelFinding(release string) finding {
	const name = "kernel"
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return warning(name, fmt.Sprintf("release %q is not understood", release), "6.1 or later is needed")
	}
	switch version := major*1000 + minor; {
	case version < 5013:
		return missing(name, release, "the programs need 5.13 at least, and are tested on 6.1 and later: upgrade")
	case version < 6001:
		return warning(name, release, "not tested below 6.1")
	case version < 6006:
		return good(name, "%s: programs attach by clsact (TCX is there from 6.6 on)", release)
	}
	return good(name, "%s: programs attach by TCX", release)
}

// effectiveCapabilities reads CapEff of a /proc/PID/status.
func effectiveCapabilities(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		}
	}
	return 0, errors.New("no CapEff line")
}

// capabilityFinding says which capabilities the calling user lacks.
func capabilityFinding(effective uint64, err error) finding {
	const name = "capabilities"
	if err != nil {
		return warning(name, "cannot be read: "+err.Error(), "is /proc mounted?")
	}
	needed := []struct {
		name   string
		number int
	}{{"CAP_BPF", unix.CAP_BPF}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}, {"CAP_NET_RAW", unix.CAP_NET_RAW}, {"CAP_PERFMON", unix.CAP_PERFMON}}
	var lacking []string
	for _, c := range needed {
		if effective&(1<<c.number) == 0 {
			lacking = append(lacking, c.name)
		}
	}
	if len(lacking) > 0 {
		return missing(name, strings.Join(lacking, ", ")+" lacking", "run as root, or by the systemd unit of the package, which grants them")
	}
	return good(name, "CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON are there")
}

// ebpfFinding judges what loading a program and making a map gave.
func ebpfFinding(program, ring error) finding {
	const name = "eBPF"
	err := errors.Join(program, ring)
	switch {
	case err == nil:
		return good(name, "programs load, ring buffers are there")
	case errors.Is(err, ebpf.ErrNotSupported):
		return missing(name, oneLine(err), "the kernel must be built with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_ACT")
	case errors.Is(err, unix.EPERM):
		return missing(name, "not permitted to load programs", "see capabilities; in a container allow the bpf system call (seccomp)")
	}
	return missing(name, oneLine(err), "the daemon would fail with the same error")
}

// btfFinding looks for the kernel's type information, which errors of the
// verifier are clearer with.
func btfFinding(path string) finding {
	if _, err := os.Stat(path); err != nil {
		return warning("BTF", path+" is not there", "not needed to work; a refused program is harder to explain without (CONFIG_DEBUG_INFO_BTF)")
	}
	return good("BTF", "%s", path)
}

// vethFinding makes a veth pair, as the start makes the injection cable, and
// takes it away again.
func vethFinding() finding {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "pacgan-try0"
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "pacgan-try1"}
	err := netlink.LinkAdd(pair)
	if err == nil {
		err = netlink.LinkDel(pair)
	}
	return judgeVeth(err)
}

func judgeVeth(err error) finding {
	switch {
	case err == nil:
		return good("veth", "pairs can be made")
	case errors.Is(err, unix.EPERM):
		return missing("veth", "not permitted to make a pair", "see capabilities")
	case errors.Is(err, unix.EOPNOTSUPP):
		return missing("veth", "the kernel has no such driver", "modprobe veth, or build the kernel with CONFIG_VETH")
	}
	return missing("veth", err.Error(), "the injection cable could not be made either")
}

func xdpFinding() finding {
	if err := inject.XDPPossible(); err != nil {
		return warning("live frames", err.Error(), `inject.engine "xdp" will not work, "sendmmsg" and "auto" do`)
	}
	return good("live frames", `inject.engine "xdp" is possible`)
}

func tcpdumpFinding() finding {
	if _, err := capture.Compile("udp dst port 53"); err != nil {
		return missing("tcpdump", err.Error(), "it compiles the labels' filters: nothing is captured without it")
	}
	return good("tcpdump", "compiles filters")
}

// otherFinding looks for another process of ours.
func otherFinding() finding {
	if holder := wireHolder(); holder != "" {
		return good("daemon", "an appliance runs%s: inject and a second daemon are refused meanwhile", holder)
	}
	return good("daemon", "none runs")
}

// freeBytes is the room on the disk of a directory that may not exist yet.
func freeBytes(dir string) (free uint64, at string, err error) {
	for at = dir; ; at = filepath.Dir(at) {
		var s unix.Statfs_t
		err := unix.Statfs(at, &s)
		if err == nil {
			return s.Bavail * uint64(s.Bsize), at, nil
		}
		if !errors.Is(err, unix.ENOENT) || at == "/" {
			return 0, at, err
		}
	}
}
