package inject_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/lab/labtest"
)

// BenchmarkVersusHTTP is BenchmarkVersus for conversations with nginx, which
// closes each: flows per second of CPU time, nginx's not counted. Five rounds
// are 100,000 flows over 4,000 ports, and each must be answered.
func BenchmarkVersusHTTP(b *testing.B) {
	const each, ports, open = 20_000, 4000, 256
	const request = "GET / HTTP/1.1\r\nHost: " + webServer + "\r\nConnection: close\r\n\r\n"
	b.Run("http/wrk", func(b *testing.B) {
		requireTool(b, "wrk")
		n := newNetwork(b, networkOptions{conversations: open, unrecorded: true})
		startNginx(b, n.servers)
		list := requests(b, each, ports, request)
		wrk := exec.Command("wrk", "--threads", "1", "--connections", fmt.Sprint(open), "--duration", "4s", "--header", "Connection: close", "http://"+webServer+"/")
		var rates [2][]float64
		var fastest float64
		for b.Loop() {
			used := labtest.CPU(b, func() {
				s, err := n.injector.Run(b.Context(), &packets{list: list}, inject.RunOptions{})
				if err != nil {
					b.Fatal(err)
				}
				fastest = max(fastest, s.Rate())
			})
			rates[0] = append(rates[0], each/used.Seconds())
			n.settled(b)
			rates[1] = append(rates[1], mustTheirs(b, wrk, requestsDone))
		}
		if a := n.accounts(b)[web]; a.Answered != a.Generated {
			b.Errorf("%d of %d answered: %+v", a.Answered, a.Generated, a)
		}
		report(b, rates)
		b.ReportMetric(fastest, "flows/s")
	})
}

var requestsDone = regexp.MustCompile(`([0-9]+) requests in`)

// mustCount is the number that a pattern finds in what a program says.
func mustCount(tb testing.TB, out string, pattern *regexp.Regexp) int {
	tb.Helper()
	found := pattern.FindStringSubmatch(out)
	if found == nil {
		tb.Fatalf("nothing like %q in:\n%s", pattern, out)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
