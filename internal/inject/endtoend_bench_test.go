package inject_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
)

// BenchmarkEndToEnd is packets with their answers: from the kernel for pings,
// from one process for queries, from nginx for conversations. Both ends share
// the processor with a client of the network, whose address the packets have,
// and which pings and asks for itself meanwhile.
//
// "packets/s" is the rate that was reached of the one asked for, "packets/CPU-s"
// what a second of this process's and the softirqs' time is good for, an in-process DNS server's in it, nginx's not; "success"
// is what was answered of "packets", and "client-success" of "client-requests"; "unknown", with
// a truth record of each, is how many records have no verdict: at full speed the ring
// of tidings may be full. Each packet has a record nevertheless (scribe.check).
func BenchmarkEndToEnd(b *testing.B) {
	for _, bm := range []struct {
		name  string
		rate  float64
		count uint64
		truth bool
		make  func(tb testing.TB) labelled
	}{
		{"ping", 100_000, 200_000, false, onePing},
		{"dns", 100_000, 200_000, false, func(tb testing.TB) labelled { return mustQuery(tb, 1, 40000, "www.lab.test") }},
		{"ping-truth", 0, 50_000, true, onePing},
		{"http", 5000, 5000, false, func(tb testing.TB) labelled {
			return mustRequest(tb, 40000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			n := newNetwork(b, networkOptions{unrecorded: !bm.truth, timeout: 5 * time.Second, expectations: 1 << 20})
			startNginx(b, n.servers)
			startFastDNS(b, n.servers)
			source := &endless{list: []labelled{bm.make(b)}}
			label := source.list[0].label
			b.ReportAllocs()
			var rate float64
			client := n.startClient(b)
			used := labtest.CPU(b, func() {
				for b.Loop() {
					s, err := n.injector.Run(b.Context(), source, inject.RunOptions{Rate: bm.rate, Count: bm.count})
					if err != nil {
						b.Fatal(err)
					}
					rate = s.Rate()
				}
			})
			undisturbed, requests := client()
			a := n.settled(b)[label]
			b.ReportMetric(rate, "packets/s")
			b.ReportMetric(float64(a.Generated)/used.Seconds(), "packets/CPU-s")
			b.ReportMetric(float64(a.Generated), "packets")
			b.ReportMetric(a.success().Rate, "success")
			b.ReportMetric(float64(undisturbed)/float64(requests), "client-success")
			b.ReportMetric(float64(requests), "client-requests")
			if bm.truth {
				b.ReportMetric(float64(n.scribe.Book.Unknown()), "unknown")
			}
		})
	}
}

func onePing(tb testing.TB) labelled { return pings(tb, 1, pingServer)[0] }

// startClient has the client ping and ask, one at a time, until stop is
// called; of how many requests it got how many answers. Each is tried once.
func (n *network) startClient(tb testing.TB) (stop func() (answered, asked int)) {
	tb.Helper()
	requests := []struct {
		want    string
		command []string
	}{
		{"1 received", []string{"ping", "-n", "-c", "1", "-W", "5", "-I", "10.77.1.11", pingServer}},
		{"10.77.2.81", []string{"dig", "+short", "+tries=1", "+timeout=5", "-b", "10.77.1.11", "@" + dnsServer, "www.lab.test"}},
	}
	for _, r := range requests {
		if _, err := exec.LookPath(r.command[0]); err != nil {
			tb.Fatal(err)
		}
	}
	ending := make(chan struct{})
	var group sync.WaitGroup
	var answered, asked int
	group.Go(func() {
		for {
			for _, r := range requests {
				asked++
				if out, _ := n.clients.Command(r.command[0], r.command[1:]...).Output(); strings.Contains(string(out), r.want) {
					answered++
				}
			}
			select {
			case <-ending:
				return
			default:
			}
		}
	})
	return func() (int, int) {
		close(ending)
		group.Wait()
		return answered, asked
	}
}
