package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/lab/program"
)

// run returns what a tool printed. Tools exit with an error where a server did not answer, so that
// only one that printed nothing of use has failed; parse decides that.
func run(ctx context.Context, path string, args []string, parse func(out string) (made, ok int)) (made, ok int, err error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = program.CleanEnv()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, 0, err
	}
	made, ok = parse(string(out))
	if made == 0 {
		return 0, 0, fmt.Errorf("%s %s: %v: %s", filepath.Base(path), strings.Join(args, " "), err, firstLine(string(out)))
	}
	return made, ok, nil
}

// runPing sends a run of pings of one of the sizes: 2 ms apart instead of 1 s, which changes no byte of them.
func runPing(path string, sizes ...int) Burst {
	summary := regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, most int) (int, int, error) {
		to := pick(rng, plan.PingTargets())
		args := []string{"-n", "-q", "-c", strconv.Itoa(most), "-i", "0.002", "-W", "2", "-s", strconv.Itoa(pick(rng, sizes)), "-I", from.String(), to.String()}
		return run(ctx, path, args, func(out string) (made, ok int) {
			m := summary.FindStringSubmatch(out)
			if m == nil {
				return 0, 0
			}
			made, _ = strconv.Atoi(m[1])
			ok, _ = strconv.Atoi(m[2])
			return made, ok
		})
	}
}

// runDig makes one query; -r keeps the user's .digrc out, +tries=1 a second query of the same.
func runDig(path string, names []plan.Name) Burst {
	answers := regexp.MustCompile(`(?s)status: (\w+).*?ANSWER: (\d+)`)
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, _ int) (int, int, error) {
		name, resolver := pick(rng, names), pick(rng, plan.Resolvers())
		args := []string{"-r", "@" + resolver.String(), "-b", from.String(), "+tries=1", "+time=2", name.Host}
		return run(ctx, path, args, func(out string) (made, ok int) {
			m := answers.FindStringSubmatch(out)
			switch {
			case m != nil && m[1] == "NOERROR" && m[2] != "0":
				return 1, 1
			case m != nil, strings.Contains(out, "no servers could be reached"), strings.Contains(out, "timed out"), strings.Contains(out, "communications error"):
				return 1, 0
			}
			return 0, 0
		})
	}
}

// runCurl fetches pages of different hosts, each with one of the URL queries, which curl does over a connection each. --resolve keeps
// look-ups by the C library, which are no client of this lab, out of it; -q the user's .curlrc.
func runCurl(path string, queries ...string) Burst {
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, most int) (int, int, error) {
		args := []string{"-q", "-s", "--interface", from.String(), "--max-time", "2", "-w", `%{http_code}\n`}
		sites := plan.Sites()
		rng.Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
		for _, s := range sites[:min(most, len(sites))] {
			args = append(args, "--resolve", s.Host+":80:"+s.Addr.String(),
				"-o", "/dev/null", "http://"+s.Host+pick(rng, plan.Paths())+pick(rng, queries))
		}
		return run(ctx, path, args, func(out string) (made, ok int) {
			for _, status := range strings.Fields(out) {
				if _, err := strconv.Atoi(status); err == nil { // 000: no answer
					made++
				}
				if status == "200" {
					ok++
				}
			}
			return made, ok
		})
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
