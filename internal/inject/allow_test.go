package inject

import (
	"net/netip"
	"testing"
)

// TestSetAllow changes the allow-list of a guard that is at work.
func TestSetAllow(t *testing.T) {
	in := mustGuard(t, 1000, "10.77.2.0/24", "10.77.9.1/32")
	tests := []struct {
		allow []string
		dst   string
		want  uint32
	}{
		{[]string{"10.77.2.0/24"}, "10.77.2.255", redirect},
		{[]string{"10.77.2.0/24"}, "10.77.9.1", drop},
		{[]string{"10.77.2.77/24"}, "10.77.2.80", redirect}, // the bits behind the prefix do not count
		{[]string{"10.77.2.80/32"}, "10.77.2.81", drop},
		{[]string{"0.0.0.0/0"}, "198.18.0.1", redirect},
		{[]string{"::/0"}, "198.18.0.1", drop}, // IPv4 is no part of it
		{nil, "10.77.2.80", drop},
	}
	for _, tt := range tests {
		var prefixes []netip.Prefix
		for _, p := range tt.allow {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		if err := in.SetAllow(prefixes, nil); err != nil {
			t.Fatal(err)
		}
		action, _, err := in.guard.Guard.Test(frameOf(mustEcho(t, tt.dst, "x"), single, labelEcho))
		if err != nil {
			t.Fatal(err)
		}
		if action != tt.want {
			t.Errorf("allow %v, destination %s: action %d, want %d", tt.allow, tt.dst, action, tt.want)
		}
	}
	mapped := netip.PrefixFrom(netip.MustParseAddr("::ffff:10.77.2.0"), 120)
	if err := in.SetAllow([]netip.Prefix{mapped}, nil); err == nil || err.Error() != "allow-list: prefix ::ffff:10.77.2.0/120 is neither IPv4 nor IPv6" {
		t.Errorf("IPv4 prefix mapped into IPv6: error %v", err)
	}
}
