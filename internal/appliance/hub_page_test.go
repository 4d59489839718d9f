package appliance

import (
	"strings"
	"testing"
)

func TestHubPageAddress(t *testing.T) {
	tests := map[string]string{
		"127.0.0.1:9747": "", "[::1]:0": "", "off": "",
		"0.0.0.0:9747": "must be on loopback", "192.0.2.1:80": "must be on loopback", "[::]:1": "must be on loopback",
		":9747": "must be like 127.0.0.1:9747", "localhost:1": "must be like", "": "must be like",
	}
	for address, want := range tests {
		err := checkPage(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
}
