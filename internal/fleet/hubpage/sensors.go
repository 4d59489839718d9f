package hubpage

import (
	"cmp"
	"slices"

	"pacgan-appliance/internal/fleet"
)

// sensorTable compares what the gateways' sensors make of each label.
type sensorTable struct {
	Labels []labelHead // the columns
	Rows   []sensorRow
}

// labelHead is a label, and whether it should be alerted on.
type labelHead struct {
	Name      string
	Malicious bool
}

// sensorRow is one sensor of one gateway.
type sensorRow struct {
	Gateway, Sensor string
	Down            bool    // the gateway is: its figures are old
	Cells           []share // alerted flows of flows, by label; 0 of 0: the sensor has none of it
	Recall          share   // alerted of malicious flows
	False           share   // alerted of benign flows
}

func sensorsOf(gateways []gatewayView) sensorTable {
	var t sensorTable
	for _, g := range gateways {
		for _, s := range g.Sensors {
			head := labelHead{s.Label, s.Malicious}
			if !slices.Contains(t.Labels, head) {
				t.Labels = append(t.Labels, head)
			}
		}
	}
	slices.SortFunc(t.Labels, func(a, b labelHead) int {
		return cmp.Or(cmp.Compare(boolean(b.Malicious), boolean(a.Malicious)), cmp.Compare(a.Name, b.Name))
	})
	for _, g := range gateways {
		for _, s := range g.Sensors { // those of a sensor are together
			n := len(t.Rows)
			if n == 0 || t.Rows[n-1].Gateway != g.Name || t.Rows[n-1].Sensor != s.Sensor {
				t.Rows = append(t.Rows, sensorRow{Gateway: g.Name, Sensor: s.Sensor, Down: g.Down, Cells: make([]share, len(t.Labels))})
				n++
			}
			t.Rows[n-1].add(slices.Index(t.Labels, labelHead{s.Label, s.Malicious}), s)
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b sensorRow) int {
		return cmp.Or(cmp.Compare(a.Sensor, b.Sensor), cmp.Compare(a.Gateway, b.Gateway))
	})
	return t
}

func (r *sensorRow) add(column int, s fleet.IDSScore) {
	r.Cells[column] = share{s.Alerted, s.Flows}
	sum := &r.False
	if s.Malicious {
		sum = &r.Recall
	}
	sum.Hits += s.Alerted
	sum.Of += s.Flows
}
