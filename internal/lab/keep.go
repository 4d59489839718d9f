package lab

import (
	"fmt"

	"pacgan-appliance/internal/lab/plan"
)

// pids are the processes in the three namespaces, as seen outside the sandbox.
type pids struct{ lan, gateway, servers string }

// KeepMessage says how to look into a lab that --keep leaves up: what to type, as root, in another
// terminal of this machine.
func (l *Lab) KeepMessage() string {
	clients, servers := plan.Clients(), plan.Servers().Hosts
	return fmt.Sprintf(`The lab stays up. From another terminal, as root:
  nsenter -t %s -n    LAN clients, %s to %s
  nsenter -t %s -n    the gateway, %s and %s
  nsenter -t %s -n    servers, %s to %s
For example: nsenter -t %s -n tcpdump -ni %s
Ctrl-C ends it and removes everything.
`, l.pids.lan, clients[0], clients[len(clients)-1],
		l.pids.gateway, plan.GatewayLAN, plan.GatewayWAN,
		l.pids.servers, servers[0], servers[len(servers)-1],
		l.pids.gateway, plan.GatewayWAN)
}
