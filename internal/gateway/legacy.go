package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legacyNames lists the tables of iptables' old kernel interface that are in
// use. The path through self is there for a service that sees only its own
// processes (ProcSubset=pid), and the file is root's.
const legacyNames = "/proc/self/net/ip_tables_names"

// soGetInfo is IPT_SO_GET_INFO (linux/netfilter_ipv4/ip_tables.h), a socket
// option at the level of IPv4.
const soGetInfo = 64

// emptyEntries is how many entries the table "nat" has without a rule: the
// policies of its four chains and the mark of its end.
const emptyEntries = 5

// tableInfo is struct ipt_getinfo.
type tableInfo struct {
	name       [32]byte
	validHooks uint32
	hookEntry  [5]uint32
	underflow  [5]uint32
	entries    uint32
	size       uint32
}

// legacyNAT reports rules in the table "nat" of iptables-legacy, which netlink
// does not show.
func legacyNAT() (bool, error) {
	names, err := os.ReadFile(legacyNames)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil // a kernel that has none, or has not loaded it
	case errors.Is(err, fs.ErrPermission):
		if !legacyLoaded("/sys/module") {
			return false, nil
		}
	case err != nil:
		return false, fmt.Errorf("iptables-legacy: %w", err)
	case !slices.Contains(strings.Fields(string(names)), "nat"):
		return false, nil
	}
	n, err := legacyEntries("nat")
	return n > emptyEntries, err
}

// legacyLoaded is false where the kernel's table "nat" is a module that is not
// loaded: no rules can be there, and asking for them would load it. A kernel
// with all of it built in has no such directories.
func legacyLoaded(modules string) bool {
	_, core := os.Stat(filepath.Join(modules, "ip_tables"))
	_, nat := os.Stat(filepath.Join(modules, "iptable_nat"))
	return core != nil || nat == nil
}

// legacyEntries is how many entries a table has; 0 where there is no such
// table. It needs CAP_NET_ADMIN.
func legacyEntries(table string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("iptables-legacy: open a socket: %w", err)
	}
	defer unix.Close(fd)
	var info tableInfo
	copy(info.name[:], table)
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, soGetInfo,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	switch errno {
	case 0:
		return int(info.entries), nil
	case unix.ENOENT, unix.ENOPROTOOPT:
		return 0, nil
	}
	return 0, fmt.Errorf("iptables-legacy: ask for table %s: %w", table, errno)
}
