package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PingCounts reads how many echo requests the kernel received, and replies it sent, since this
// network namespace was made.
func PingCounts() (map[string]int, error) {
	b, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return nil, fmt.Errorf("ping counts: %w", err)
	}
	return parsePingCounts(string(b))
}

// parsePingCounts reads the "Icmp:" header line and the line of values after it.
func parsePingCounts(snmp string) (map[string]int, error) {
	var names []string
	for line := range strings.Lines(snmp) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] != "Icmp:":
		case names == nil:
			names = fields
		default:
			return pick(names, fields, map[string]string{"InEchos": "request", "OutEchoReps": "reply"})
		}
	}
	return nil, fmt.Errorf("ping counts: /proc/net/snmp has no Icmp lines")
}

func pick(names, values []string, wanted map[string]string) (map[string]int, error) {
	out := map[string]int{}
	for i, name := range names {
		if as, ok := wanted[name]; ok && i < len(values) {
			n, err := strconv.Atoi(values[i])
			if err != nil {
				return nil, fmt.Errorf("ping counts: /proc/net/snmp: %s: %w", name, err)
			}
			out[as] = n
		}
	}
	return out, nil
}
