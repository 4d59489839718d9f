// Package lab is a whole test network on one machine: LAN clients, a gateway and servers in three
// network namespaces, real clients talking to real servers. What runs in the gateway (capture,
// training, injection) is not its business.
package lab
