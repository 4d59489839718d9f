package verify

import (
	"strings"
	"testing"
)

func TestReasons(t *testing.T) {
	seen := map[string]matchReason{}
	for r := matchReasonREASON_RST; r < matchReasonREASONS; r++ {
		name := r.String()
		if other, ok := seen[name]; ok {
			t.Errorf("reasons %d and %d are both %q", other, r, name)
		}
		seen[name] = r
	}
	for r, want := range map[matchReason]string{
		matchReasonREASON_RCODE + 3:    "nxdomain",
		matchReasonREASON_UNREACH + 1:  "icmp host-unreachable",
		matchReasonREASON_HTTP + 304:   "http 404",
		matchReasonREASON_RST:          "rst",
		matchReasonREASON_PARAMETER:    "icmp parameter-problem",
		matchReasonREASON_TRUNCATED:    "truncated reply",
		matchReasonREASON_PENDING + 10: "reason 611",
	} {
		if got := r.String(); got != want || strings.TrimSpace(got) != got {
			t.Errorf("reason %d is %q, want %q", r, got, want)
		}
	}
}
