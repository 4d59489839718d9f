package appliance

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
)

// TestSlots follows labels through reloads: a name keeps its slots, and its
// counts are shown after it is gone.
func TestSlots(t *testing.T) {
	s := newSlots(2, []config.Label{{Name: "ping"}, {Name: "dns"}})
	if diff := cmp.Diff([]int{2, 0}, s.slotsOf(fromModel, []string{"dns", "ping"})); diff != "" {
		t.Errorf("a model's slots (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 3}, s.slotsOf(fromCapture, []string{"ping", "dns"})); diff != "" {
		t.Errorf("a control's slots (-want +got):\n%s", diff)
	}
	s.add("ntp")
	s.add("ping")
	if got := []int{s.find("ping"), s.find("ntp"), s.find("new")}; !cmp.Equal([]int{0, 2, 3}, got) {
		t.Errorf("places %v", got)
	}
	counts := make([]labelCounts, 6)
	for i, name := range []string{"ping", "ping", "dns", "dns", "ntp", "ntp"} {
		counts[i].name, counts[i].Generated = name, uint64(i)
	}
	tests := []struct {
		name  string
		o     origin
		names []string
		want  []uint64
	}{
		{"in the order asked for", fromModel, []string{"ntp", "dns", "ping"}, []uint64{4, 2, 0}},
		{"a control's", fromCapture, []string{"ntp", "dns", "ping"}, []uint64{5, 3, 1}},
		{"gone labels follow", fromCapture, []string{"ntp"}, []uint64{5, 1, 3}},
		{"but for those without packets", fromModel, []string{"dns"}, []uint64{2, 4}},
		{"not in the kernel yet", fromModel, []string{"dns", "new"}, []uint64{2, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint64
			for _, c := range s.of(tt.o, tt.names, counts) {
				got = append(got, c.Generated)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("generated (-want +got):\n%s", diff)
			}
		})
	}
}
