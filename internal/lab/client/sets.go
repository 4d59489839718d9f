package client

import (
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
)

// Embedded is the set in Go, over the kernel's own sockets; it asks for the short table of names.
func Embedded() *Set {
	return &Set{Workers: 8, Bursts: map[string]Burst{
		"ping": ping,
		"dns":  lookup(plan.Names()[:plan.ShortNames]),
		"http": get,
	}}
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
	return &Set{Workers: 6, Bursts: map[string]Burst{
		"ping": runPing(paths[0]),
		"dns":  runDig(paths[1], plan.Names()),
		"http": runCurl(paths[2]),
	}}, nil
}
