package client

import (
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
)

// pingSize is the data of a ping that nobody sizes.
const pingSize = 56

// Embedded is the set in Go, over the kernel's own sockets; it asks for the short table of names.
func Embedded() *Set {
	return &Set{Workers: 8, Kinds: kinds(map[string]Burst{
		"ping":        ping(pingSize),
		"dns":         lookup(plan.Names()[:plan.ShortNames]),
		"http":        get(""),
		"bigping":     ping(plan.BigPings()...),
		"blockedname": lookup(plan.Blocked()),
		"traversal":   get(plan.Traversals()...),
	})}
}

// System is the set of the system's own tools, ping, dig and curl, with their ordinary options.
func System() (*Set, error) {
	var paths [3]string
	for i, name := range []string{"ping", "dig", "curl"} {
		var err error
		if paths[i], err = program.Find(name); err != nil {
			return nil, err
		}
	}
	return &Set{Workers: 6, Kinds: kinds(map[string]Burst{
		"ping":        runPing(paths[0], pingSize),
		"dns":         runDig(paths[1], plan.Names()),
		"http":        runCurl(paths[2], ""),
		"bigping":     runPing(paths[0], plan.BigPings()...),
		"blockedname": runDig(paths[1], plan.Blocked()),
		"traversal":   runCurl(paths[2], plan.Traversals()...),
	})}, nil
}

// kinds says who asks: the testers for what is flagged, the clients for the rest.
func kinds(bursts map[string]Burst) map[string]Kind {
	all := map[string]Kind{}
	for label, burst := range bursts {
		all[label] = Kind{From: plan.Clients(), Burst: burst}
	}
	for _, label := range plan.Flagged() {
		all[label] = Kind{From: plan.Testers(), Burst: bursts[label]}
	}
	return all
}
