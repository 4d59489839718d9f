// Command soak has the daemon, as the package runs it, live through what gateways live through: real clients beside it,
// Suricata behind it, packets injected all the while, training, a reload each minute, and faults in an order that a
// seed gives. At the end rules say whether anything was lost, leaked or disturbed (see judge); the exit code is 1 where
// one does not hold. It needs root; `make soak` installs what it runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab"
)

// options of one soak.
type options struct {
	minutes float64
	rate    float64
	gap     time.Duration
	seed    uint64
	servers string
	binary  string
	out     string // directory of what is written
}

func main() { os.Exit(run()) }

func run() int {
	if handled, code := lab.RoleMain(); handled {
		return code
	}
	var o options
	flag.Float64Var(&o.minutes, "minutes", 30, "how long, after the first model")
	flag.Float64Var(&o.rate, "rate", 500, "packets a second over all labels")
	flag.DurationVar(&o.gap, "gap", 2*time.Second, "between two faults, half as much to half as much again")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the order of faults")
	flag.StringVar(&o.servers, "servers", string(lab.System), "system (nginx, unbound, ping, dig, curl) or embedded")
	flag.StringVar(&o.binary, "binary", "build/pacgan-appliance", "the `program`")
	flag.StringVar(&o.out, "out", "build/soak", "`directory` for soak.json, soak.html and the daemon's log")
	flag.Parse()
	if !lab.Inside() {
		code, err := lab.Supervise(os.Args[1:])
		if err != nil {
			fmt.Fprintln(os.Stderr, "soak:", err)
		}
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	rules, err := soak(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	for _, r := range rules {
		if !r.Holds {
			return 1
		}
	}
	return 0
}
