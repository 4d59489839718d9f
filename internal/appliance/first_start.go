package appliance

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/inject"
)

// allowLine is what a person writes to have anything injected.
const allowLine = `allow = ["NETWORK/BITS"] under [safety], the test servers' networks`

// checkInterfaces is an error where the config at path names interfaces that
// are not among those that this machine has. The config of a package does so
// until it is edited: the error says every line to write.
func checkInterfaces(path string, cfg config.Config, have []string) error {
	var faults, lines []string
	for _, i := range []struct{ key, name string }{{"lan", cfg.Gateway.LAN}, {"wan", cfg.Gateway.WAN}} {
		if !slices.Contains(have, i.name) {
			faults = append(faults, fmt.Sprintf("gateway.%s %q", i.key, i.name))
			lines = append(lines, i.key+` = "INTERFACE"`)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	write := strings.Join(lines, " and ") + " under [gateway]"
	if len(cfg.Safety.Allow) == 0 {
		write += ", and " + allowLine
	}
	there := slices.DeleteFunc(slices.Clone(have), func(name string) bool {
		return name == "lo" || name == inject.DefaultNear || name == inject.DefaultFar
	})
	return fmt.Errorf("%s: this machine has no interface %s; write %s (it has %s)", path, strings.Join(faults, " and no "), write, listed(there))
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none but lo"
	}
	return strings.Join(names, ", ")
}

// interfaceNames are this machine's interfaces.
func interfaceNames() ([]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	names := make([]string, len(all))
	for i, link := range all {
		names[i] = link.Name
	}
	return names, nil
}
