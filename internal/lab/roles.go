package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"pacgan-appliance/internal/lab/client"
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/sandbox"
	"pacgan-appliance/internal/lab/server"
	"pacgan-appliance/internal/lab/veth"
)

// Names (argv[0]) of the roles' processes, as ps shows them.
const (
	nameLAN     = "pacgan-lab-lan"
	nameServers = "pacgan-lab-servers"
)

// supervised is the sandbox's kind when Supervise made it.
const supervised = "lab"

// outerProcFD is where a role finds the supervisor's /proc.
const outerProcFD = 3

// Supervise runs this program again, with args, as the gateway of a new lab, waits for it and returns
// its exit code. Inside, Inside is true. Signals are passed on; see sandbox.Run.
func Supervise(args []string) (exitCode int, err error) { return sandbox.Run(supervised, args) }

// Inside says that this process is the one that Supervise started, and may call New.
func Inside() bool { return sandbox.Kind() == supervised }

// RoleMain runs the part of a lab that this process was started as, if any, and says so with its
// exit code. It comes first in main and TestMain, before flags.
func RoleMain() (handled bool, code int) {
	var err error
	switch os.Args[0] {
	case nameLAN:
		ctx, cancel := context.WithCancel(context.Background())
		err = serveRole(&lanRole{ctx: ctx, runs: map[uint64]*run{}}, cancel)
	case nameServers:
		r := &serversRole{}
		err = serveRole(r, func() {})
		r.end()
	default:
		return sandbox.RoleMain()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		return true, 1
	}
	return true, 0
}

// SetupArgs tells a role what it is part of.
type SetupArgs struct {
	Servers Servers
	Ports   int
	LogDir  string
}

// setUp configures a role's namespace and returns its pid outside the sandbox.
func setUp(name string, side plan.Side) (pid string, err error) {
	syscall.CloseOnExec(outerProcFD)
	outer := os.NewFile(outerProcFD, "outer /proc")
	defer outer.Close()
	if pid, err = sandbox.OuterPID(outer); err != nil {
		return "", err
	}
	if err := sandbox.QuietNetwork(); err != nil {
		return "", err
	}
	if err := quietIPv4("all", "default", name); err != nil {
		return "", err
	}
	var addrs []netip.Prefix
	for _, a := range side.Hosts {
		addrs = append(addrs, side.With(a))
	}
	if err := veth.Up(name, addrs...); err != nil {
		return "", err
	}
	if err := veth.DefaultRoute(side.Gateway); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return pid, veth.Ready(ctx, name)
}

// newServers makes the set of servers that options ask for.
func newServers(a SetupArgs) (server.Set, error) {
	if a.Servers == System {
		return server.NewSystem(a.LogDir)
	}
	return server.NewEmbedded(a.LogDir)
}

// firstPort is the first of the clients' ports where Options.Ports bounds them.
const firstPort = 40000

// newClients makes the set of clients that options ask for, and sets what their kernel adds to them.
func newClients(a SetupArgs) (*client.Set, error) {
	// Everybody may open ICMP datagram sockets, as on systems with systemd.
	sysctls := map[string]string{"ipv4/ping_group_range": "0 2147483647"}
	if a.Servers != System {
		sysctls["ipv4/tcp_timestamps"] = "0" // with them no GET fits the paper's 98 bytes
	}
	if a.Ports > 0 {
		sysctls["ipv4/ip_local_port_range"] = fmt.Sprintf("%d %d", firstPort, firstPort+a.Ports-1)
	}
	if err := veth.Sysctls(sysctls); err != nil {
		return nil, err
	}
	if a.Servers == System {
		return client.System()
	}
	return client.Embedded(), nil
}
