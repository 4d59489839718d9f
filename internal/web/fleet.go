package web

import "github.com/prometheus/client_golang/prometheus"

// Fleet is the gateway's place in a fleet.
type Fleet struct {
	Name      string // the gateway's in it
	Connected bool   // to the hub
	Waiting   uint64 // bytes of truth that the hub has not yet
	Sent      uint64 // records that it has acknowledged
	Lost      uint64 // bytes of truth that were removed for room before it had them
	Refused   string // why what it desires last is not in force, one line; "": it is
}

// fleetMetrics are about the gateway's place in a fleet; there are none without one.
func fleetMetrics() []metric {
	one := func(kind prometheus.ValueType, name, help string, of func(*Fleet) float64) metric {
		return metric{describe("fleet_"+name, help), kind, func(s *Snapshot, emit func(float64, ...string)) {
			if s.Fleet != nil {
				emit(of(s.Fleet))
			}
		}}
	}
	return []metric{
		one(prometheus.GaugeValue, "connected", "1 while the hub can be reached.", func(f *Fleet) float64 { return boolean(f.Connected) }),
		one(prometheus.GaugeValue, "spool_bytes", "Truth that the hub has not yet.", func(f *Fleet) float64 { return float64(f.Waiting) }),
		one(prometheus.CounterValue, "sent_records_total", "Records of truth that the hub has acknowledged.", func(f *Fleet) float64 { return float64(f.Sent) }),
		one(prometheus.CounterValue, "lost_bytes_total", "Truth that was removed for room before the hub had it.", func(f *Fleet) float64 { return float64(f.Lost) }),
		one(prometheus.GaugeValue, "refused", "1 while what the hub desires last is refused.", func(f *Fleet) float64 { return boolean(f.Refused != "") }),
	}
}
