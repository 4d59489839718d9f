package appliance

import (
	"fmt"
	"slices"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// trainNice is the nice value of the training child: below everything that
// the gateway does for others.
const trainNice = 10

// namespaces are clone(2)'s flags that make new namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// forbidden are the system calls that are refused to the training child: the
// network, other processes, the kernel's own programs, and the ways around
// (io_uring makes sockets without socket(2); a user namespace gives
// capabilities back). What takes a capability is refused anyway.
var forbidden = []string{
	"accept", "accept4", "bind", "connect", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "socket", "socketpair",
	"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
	"bpf", "perf_event_open", "userfaultfd", "add_key", "keyctl", "request_key",
	"io_uring_enter", "io_uring_register", "io_uring_setup",
	"setns", "unshare",
	"chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root", "umount2",
}

// confine takes from the calling thread, and from what it starts from then
// on, what a training needs not: precedence over others, every capability,
// and the system calls of forbidden. None of it can be taken back.
func confine() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), trainNice); err != nil {
		return fmt.Errorf("nice %d: %w", trainNice, err)
	}
	batch := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: trainNice}
	if err := unix.SchedSetAttr(0, &batch, 0); err != nil {
		return fmt.Errorf("batch scheduling: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return denySystemCalls()
}

// dropCapabilities empties the thread's capability sets. The bounding set can
// be emptied with CAP_SETPCAP only; where the service manager has not granted
// it the set stays, and gives nothing: with no_new_privs, which
// denySystemCalls sets, no program that is executed gains a capability.
func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err {
		case nil, unix.EPERM, unix.EINVAL: // EINVAL: an older kernel does not know it
		default:
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // version 3 has two words of each set
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// denySystemCalls sets no_new_privs and a filter that allows the system calls
// of this machine's own architecture but the forbidden ones. What it does not
// know, a newer kernel's calls and the calls of other architectures, is
// refused too. clone3 hides its flags from a filter: who hears that the kernel
// has none takes clone.
func denySystemCalls() error {
	native, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("system call filter: %w", err)
	}
	var allowed []string
	for name := range native.SyscallNames {
		if name != "clone" && name != "clone3" && !slices.Contains(forbidden, name) {
			allowed = append(allowed, name)
		}
	}
	slices.Sort(allowed)
	threads := seccomp.NameWithConditions{Name: "clone", Conditions: seccomp.ArgumentConditions{
		{Argument: 0, Operation: seccomp.BitsNotSet, Value: namespaces},
	}}
	filter := seccomp.Filter{NoNewPrivs: true, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: allowed},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{threads}},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
		},
	}}
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("system call filter: %w", err)
	}
	return nil
}
