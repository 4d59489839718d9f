// Package lab is a whole test network on one machine: LAN clients, a gateway and servers in three
// network namespaces, real clients talking to real servers. What runs in the gateway (capture,
// training, injection) is not its business.
//
// Supervise runs this program again inside a sandbox whose network namespace is the gateway's; there
// New starts two more processes, roles, each in a namespace of its own: "lan" and "servers". Whatever
// ends, and however, nothing of it stays on the machine.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
	"pacgan-appliance/internal/lab/sandbox"
	"pacgan-appliance/internal/lab/server"
	"pacgan-appliance/internal/lab/veth"
)

// Servers says which servers and clients a lab has.
type Servers string

// Embedded servers and clients are part of this program and need nothing installed; System ones are
// nginx, unbound, ping, dig and curl.
const (
	Embedded Servers = "embedded"
	System   Servers = "system"
)

// Interfaces of the gateway: where the clients are and where the servers are.
const (
	GatewayLAN = plan.GatewayLAN
	GatewayWAN = plan.GatewayWAN
)

// ErrOutside says that New was called where a lab must not be made: in the machine's own network.
var ErrOutside = errors.New("lab: only inside Supervise or labtest.Main, never in the machine's own network namespace")

// ParseServers reads the value of --servers.
func ParseServers(s string) (Servers, error) {
	switch v := Servers(s); v {
	case Embedded, System:
		return v, nil
	}
	return "", fmt.Errorf("--servers %q: want embedded or system", s)
}

// Options of a lab.
type Options struct {
	Servers Servers // "": Embedded
	Seed    uint64  // of everything that the clients choose
	Ports   int     // how many the clients draw theirs from, so that they use them again soon; 0: the kernel's own range
	LogDir  string  // where servers keep logs and configs; "": a temporary directory, removed by Close
}

// Lab is a running test network around the calling process, which is its gateway. Its methods may be
// called concurrently.
type Lab struct {
	options Options
	tempDir string
	lan     *role
	servers *role
	pids    pids
	cables  []string
	runs    atomic.Uint64
	close   func() error
}

// Counts is how many requests the servers ended with each status, by label; see the keys there.
type Counts = server.Counts

// New makes the network and starts the servers. The calling process must be in a sandbox.
func New(o Options) (_ *Lab, err error) {
	if sandbox.Kind() == "" {
		return nil, ErrOutside
	}
	if o.Servers == "" {
		o.Servers = Embedded
	}
	if _, err := ParseServers(string(o.Servers)); err != nil {
		return nil, err
	}
	if o.Servers == System {
		if err := program.FindAll(); err != nil {
			return nil, err
		}
	}
	l := &Lab{options: o}
	l.close = sync.OnceValue(l.tearDown)
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if err := l.makeLogDir(); err != nil {
		return nil, err
	}
	if err := l.makeNetwork(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := l.StartServers(context.Background()); err != nil {
		return nil, err
	}
	return l, nil
}

// Close ends clients and servers and removes the network. It may be called again.
func (l *Lab) Close() error { return l.close() }

// ServersNetwork is where all servers are: what an allow-list has to hold.
func ServersNetwork() netip.Prefix { return plan.Servers().Network }

// LANNetwork is where all clients are.
func LANNetwork() netip.Prefix { return plan.LAN().Network }

// Names are the DNS names that the clients of this lab ask for.
func (l *Lab) Names() []string {
	names := plan.Names()
	if l.options.Servers != System {
		names = names[:plan.ShortNames]
	}
	hosts := make([]string, len(names))
	for i, n := range names {
		hosts[i] = n.Host
	}
	return hosts
}

// LogDir is where the servers keep their logs.
func (l *Lab) LogDir() string { return l.options.LogDir }

func (l *Lab) makeLogDir() error {
	if l.options.LogDir != "" {
		return os.MkdirAll(l.options.LogDir, 0o755)
	}
	dir, err := os.MkdirTemp("", "pacgan-lab-")
	if err != nil {
		return err
	}
	l.tempDir, l.options.LogDir = dir, dir
	return nil
}

// makeNetwork starts both roles and lays a cable to each.
func (l *Lab) makeNetwork() error {
	outer, err := sandbox.OuterProc()
	if err != nil {
		return err
	}
	defer outer.Close()
	if l.pids.gateway, err = sandbox.OuterPID(outer); err != nil {
		return err
	}
	if err := gatewaySysctls(); err != nil {
		return err
	}
	if l.lan, err = startRole(nameLAN, outer); err != nil {
		return err
	}
	if l.servers, err = startRole(nameServers, outer); err != nil {
		return err
	}
	if l.pids.lan, err = l.plug(l.lan, plan.GatewayLAN, plan.LANHost, plan.LAN()); err != nil {
		return err
	}
	l.pids.servers, err = l.plug(l.servers, plan.GatewayWAN, plan.ServerHost, plan.Servers())
	return err
}

// plug lays the cable between the gateway and a role, and has each configure its own end. It returns
// the role's pid outside the sandbox.
func (l *Lab) plug(r *role, near, far string, side plan.Side) (pid string, err error) {
	if err := veth.Pair(near, far, netlink.NsPid(r.cmd.Process.Pid)); err != nil {
		return "", err
	}
	l.cables = append(l.cables, near)
	if err := veth.Up(near, side.With(side.Gateway)); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	args := SetupArgs{Servers: l.options.Servers, Ports: l.options.Ports, LogDir: l.options.LogDir}
	if err := r.call(ctx, "Setup", args, &pid); err != nil {
		return "", err
	}
	return pid, veth.Ready(ctx, near)
}

func gatewaySysctls() error {
	if err := quietIPv4("all", "default"); err != nil {
		return err
	}
	return veth.Sysctls(map[string]string{"ipv4/ip_forward": "1"})
}

// quietIPv4 sets what a host's kernel does beyond answering: no reverse path filter (whatever the
// machine's default is), no redirects, and ARP for exactly the addresses of the interface asked.
func quietIPv4(interfaces ...string) error {
	for _, i := range interfaces {
		key := "ipv4/conf/" + i + "/"
		err := veth.Sysctls(map[string]string{
			key + "rp_filter": "0", key + "accept_redirects": "0", key + "send_redirects": "0",
			key + "arp_ignore": "1", key + "arp_announce": "2",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tearDown goes on after errors and returns all of them.
func (l *Lab) tearDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs []error
	for _, r := range []*role{l.lan, l.servers} {
		if r != nil {
			errs = append(errs, r.stop(ctx))
		}
	}
	for _, name := range l.cables {
		errs = append(errs, veth.Remove(name))
	}
	if l.tempDir != "" {
		errs = append(errs, os.RemoveAll(l.tempDir))
	}
	return errors.Join(errs...)
}
