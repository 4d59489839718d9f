// Command fleet asks what one hub takes: so many gateways, which are real clients with keys of their own, each a real truth
// directory and the uploader and heartbeat of internal/fleet/member, with generated records; and the real hub in a process
// of its own, with TLS and sync_interval: always. Afterwards it reads the whole stream: each record must be there once and
// in its order, or the exit code is 1. It writes results.md and a picture; `make bench-fleet` runs it.
//
// The gateways' disks are memory (/dev/shm), as each would have one of its own; the hub's is a disk.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/appliance"
)

// options of a run.
type options struct {
	rate    float64 // records per second, of all gateways
	seconds float64 // that records are written for
	hubDir  string  // the hub's disk
	memory  string  // the gateways'
}

func main() { os.Exit(run()) }

func run() int {
	if handled, code := hubMain(); handled {
		return code
	}
	var o options
	gateways := flag.String("gateways", "10,50,100,200", "how many `gateways`, one run each")
	flag.Float64Var(&o.rate, "rate", 50_000, "records a second over all gateways")
	flag.Float64Var(&o.seconds, "seconds", 20, "how long they are written")
	flag.StringVar(&o.hubDir, "dir", "build/fleet", "`directory` for the hub's disk")
	flag.StringVar(&o.memory, "memory", "/dev/shm", "`directory` for the gateways' disks")
	out := flag.String("out", "", "`directory` of a repository: bench/fleet/results.md and docs/fleet-scale.svg are written")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	var all []result
	for text := range strings.SplitSeq(*gateways, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			fmt.Fprintf(os.Stderr, "fleet: -gateways %s: must be numbers from 1 to 1000, by commas\n", *gateways)
			return 2
		}
		r, err := measure(ctx, o, n)
		if err != nil {
			fmt.Fprintf(os.Stderr, "fleet: %d gateways: %v\n", n, err)
			return 1
		}
		all = append(all, r)
		fmt.Println(r)
	}
	if *out != "" {
		if err := write(*out, o, all); err != nil {
			fmt.Fprintln(os.Stderr, "fleet:", err)
			return 1
		}
	}
	return 0
}

// hubVariable has this program be the appliance's.
const hubVariable = "PACGAN_BENCH_FLEET_HUB"

// hubMain is the appliance where the program was started as that.
func hubMain() (handled bool, code int) {
	if os.Getenv(hubVariable) == "" {
		return false, 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	program := appliance.Program{Version: "bench", Stdout: os.Stdout, Stderr: os.Stderr}
	return true, program.Run(ctx, os.Args[1:])
}

// result is what one run found.
type result struct {
	Gateways         int
	Offered          uint64        // records written by all gateways
	Took             time.Duration // from the first record written to the last
	Drained          time.Duration // from the last record written until the hub had it
	P50, P99         time.Duration // from a record written to it acknowledged
	HubRSS, IdleRSS  int64         // the hub's peak, and with all gateways connected before the first record, in bytes
	HubCPU, OwnCPU   time.Duration // of the hub and of all gateways, from the first record written until the last was acknowledged
	OwnRSS           int64         // of all gateways in one process at the end, in bytes
	Disk, WireBytes  int64         // the hub's store, and the records' JSON, in bytes
	Messages, Batch  uint64        // in the stream, and records in each
	Stored, Repeated uint64        // records that the stream has, and those of them that it had before or out of order
}

// whole is how long the records took from the first to the last acknowledged.
func (r result) whole() time.Duration { return r.Took + r.Drained }

func (r result) String() string {
	return fmt.Sprintf("%3d gateways: %d records offered at %.0f/s, stored at %.0f/s, latency p50 %v p99 %v; hub %.0f MiB (%.2f MiB a gateway), CPU %.2f cores; gateways %.1f MiB each, CPU %.2f cores; %.0f bytes a record of %.0f on disk; %d messages of %d records; %d stored, %d twice or out of order",
		r.Gateways, r.Offered, float64(r.Offered)/r.Took.Seconds(), float64(r.Stored)/r.whole().Seconds(), r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond),
		mib(r.HubRSS), mib(r.HubRSS)/float64(r.Gateways), r.HubCPU.Seconds()/r.whole().Seconds(), mib(r.OwnRSS)/float64(r.Gateways), r.OwnCPU.Seconds()/r.whole().Seconds(),
		float64(r.Disk)/float64(r.Stored), float64(r.WireBytes)/float64(r.Stored), r.Messages, r.Batch, r.Stored, r.Repeated)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
