package hubpage

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is one family and how it is read from a view.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(v *view, emit func(v float64, labels ...string))
}

// collector reads one view for each scrape. Its labels are the members' names, which the hub's accounts bound, and what
// their configs name; states that nobody knows are one.
type collector struct {
	view    func() view
	metrics []metric
}

// states are the values of the metric's label "state".
var states = []string{"starting", "collecting", "training", "injecting", "paused", "stopping", "failing", lost, never, other}

const other = "other"

func newCollector(v func() view) *collector {
	return &collector{v, slices.Concat(gatewayMetrics(), packetMetrics(), sensorMetrics(), restMetrics())}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.view()
	for _, m := range c.metrics {
		m.read(&v, func(value float64, labels ...string) {
			made, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
			if err != nil { // a label that is not UTF-8
				made = prometheus.NewInvalidMetric(m.desc, err)
			}
			out <- made
		})
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pacgan_fleet_"+name, help, labels, nil)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

// ofGateways is a family with one value for each gateway that was ever seen.
func ofGateways(name, help string, kind prometheus.ValueType, of func(*gatewayView) float64) metric {
	return metric{describe(name, help, "gateway"), kind, func(v *view, emit func(float64, ...string)) {
		for i := range v.Gateways {
			if g := &v.Gateways[i]; g.State != never {
				emit(of(g), g.Name)
			}
		}
	}}
}

func gatewayMetrics() []metric {
	return []metric{
		{describe("gateway_state", "1 for the state that a gateway is in, 0 for the others.", "gateway", "state"), prometheus.GaugeValue,
			func(v *view, emit func(float64, ...string)) {
				for _, g := range v.Gateways {
					state := g.State
					if !slices.Contains(states, state) {
						state = other
					}
					for _, s := range states {
						emit(boolean(s == state), g.Name, s)
					}
				}
			}},
		ofGateways("gateway_seen_timestamp_seconds", "Unix time of a gateway's last beat.", prometheus.GaugeValue, func(g *gatewayView) float64 { return unix(g.Seen) }),
		ofGateways("rate_asked_packets_per_second", "Rate that a gateway is asked for; 0: the learned gaps.", prometheus.GaugeValue, func(g *gatewayView) float64 { return g.Rate }),
		ofGateways("on_wire_packets_total", "Generated packets that left a gateway.", prometheus.CounterValue, func(g *gatewayView) float64 { return float64(g.Beat.OnWire) }),
		ofGateways("model_created_timestamp_seconds", "Unix time at which a gateway's model was made; 0: it has none.", prometheus.GaugeValue, func(g *gatewayView) float64 {
			if g.ModelAt.IsZero() {
				return 0
			}
			return unix(g.ModelAt)
		}),
		ofGateways("spool_bytes", "Truth that a gateway has not handed over yet.", prometheus.GaugeValue, func(g *gatewayView) float64 { return float64(g.Spool.Bytes) }),
		ofGateways("spool_sent_records_total", "Truth records that the hub has acknowledged since a gateway's start.", prometheus.CounterValue, func(g *gatewayView) float64 { return float64(g.Spool.Sent) }),
		ofGateways("spool_lost_bytes_total", "Truth that a gateway removed for room before the hub had it.", prometheus.CounterValue, func(g *gatewayView) float64 { return float64(g.Spool.Lost) }),
		ofGateways("revision_desired", "Revision of what a gateway ought to do; 0: nothing is asked of it.", prometheus.GaugeValue, func(g *gatewayView) float64 { return float64(g.Desired) }),
		ofGateways("revision_applied", "Revision that is in force.", prometheus.GaugeValue, func(g *gatewayView) float64 { return float64(g.Applied) }),
		ofGateways("revision_refused", "Later revision that a gateway refused; 0: none.", prometheus.GaugeValue, func(g *gatewayView) float64 {
			if g.Refused == nil {
				return 0
			}
			return float64(g.Refused.Revision)
		}),
	}
}

func packetMetrics() []metric {
	of := func(name, help string, kind prometheus.ValueType, read func(*labelView) (float64, bool)) metric {
		return metric{describe(name, help, "gateway", "label"), kind, func(v *view, emit func(float64, ...string)) {
			for _, g := range v.Gateways {
				for i := range g.Labels {
					if value, ok := read(&g.Labels[i]); ok {
						emit(value, g.Name, g.Labels[i].Name)
					}
				}
			}
		}}
	}
	return []metric{
		of("packets_generated_total", "Generated packets, however they ended.", prometheus.CounterValue, func(l *labelView) (float64, bool) { return float64(l.Generated), true }),
		of("packets_answered_total", "Packets with a valid response.", prometheus.CounterValue, func(l *labelView) (float64, bool) { return float64(l.Answered), true }),
		of("packets_decided", "Packets whose end is known: the success ratio's denominator.", prometheus.GaugeValue, func(l *labelView) (float64, bool) { return float64(l.All.Of), true }),
		of("success_ratio", "Answered of decided packets since a gateway's counts began.", prometheus.GaugeValue, func(l *labelView) (float64, bool) {
			return float64(l.All.Hits) / float64(max(l.All.Of, 1)), l.All.Of > 0
		}),
	}
}

func sensorMetrics() []metric {
	of := func(name, help string, read func(share) uint64) metric {
		return metric{describe(name, help, "gateway", "ids", "label", "malicious"), prometheus.CounterValue, func(v *view, emit func(float64, ...string)) {
			for _, g := range v.Gateways {
				for _, s := range g.Sensors {
					emit(float64(read(share{s.Alerted, s.Flows})), g.Name, s.Sensor, s.Label, map[bool]string{true: "true", false: "false"}[s.Malicious])
				}
			}
		}}
	}
	return []metric{
		of("ids_flows_total", "Injected flows that a sensor can have seen, whose alerts had the time to come.", func(s share) uint64 { return s.Of }),
		of("ids_flows_alerted_total", "Of these, those that the sensor alerted on.", func(s share) uint64 { return s.Hits }),
	}
}

func restMetrics() []metric {
	ofTrainers := func(name, help string, of func(*memberView) bool) metric {
		return metric{describe(name, help, "trainer"), prometheus.GaugeValue, func(v *view, emit func(float64, ...string)) {
			for i := range v.Trainers {
				emit(boolean(of(&v.Trainers[i])), v.Trainers[i].Name)
			}
		}}
	}
	return []metric{
		ofTrainers("trainer_up", "Whether a trainer was heard of lately.", func(m *memberView) bool { return !m.Down }),
		ofTrainers("trainer_busy", "Whether a trainer trains.", func(m *memberView) bool { return m.State == "training" }),
		{describe("rollouts", "Candidates that are being tried."), prometheus.GaugeValue, func(v *view, emit func(float64, ...string)) { emit(float64(len(v.Under))) }},
		{describe("hub_connected", "Whether the hub has a connection to a NATS server."), prometheus.GaugeValue, func(v *view, emit func(float64, ...string)) { emit(boolean(v.Connected)) }},
	}
}
