package quality

import (
	"slices"
	"testing"
)

func TestShiftOf(t *testing.T) {
	dns := traffic(t, "dns", 1000, 1)
	otherServer := func(_ int, p []byte) { copy(p[16:20], []byte{10, 77, 9, 9}) }
	counting := func(i int, p []byte) { p[4], p[5] = byte(i>>8), byte(i) } // the IP ID
	for _, tt := range []struct {
		name           string
		learned, newer [][]byte
		field          string // that has shifted; "": none by more than a quarter
	}{
		{"more of the same", dns, traffic(t, "dns", 250, 2), ""},
		{"more of the same, few", dns[:500], traffic(t, "dns", 250, 3), ""},
		{"another server", dns, altered(traffic(t, "dns", 250, 2), otherServer), "dst"},
		{"only the newest go elsewhere", dns, slices.Concat(traffic(t, "dns", 100, 4), altered(traffic(t, "dns", 200, 2), otherServer)), "dst"},
		{"a counter goes on", altered(dns, counting), altered(traffic(t, "dns", 250, 2), func(i int, p []byte) { counting(i+1000, p) }), ""},
		{"another protocol", dns, traffic(t, "ping", 250, 2), "dport"},
		{"nothing newer", dns, nil, ""},
		{"nothing learned", nil, dns, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ShiftOf(tt.learned, tt.newer)
			t.Logf("%+v", got)
			if (got.By() > 0.25) != (tt.field != "") || tt.field != "" && got.Field != tt.field {
				t.Errorf("got %+v, want a shift of %q", got, tt.field)
			}
		})
	}
}
