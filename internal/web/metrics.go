package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"pacgan-appliance/internal/verify"
)

// metric is one family of the metrics and how it is read from a snapshot.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *Snapshot, emit func(v float64, labels ...string))
}

// collector reads one snapshot for each scrape. No metric has a label that
// grows with traffic: labels, reasons and states are few.
type collector struct {
	snapshot func() (Snapshot, error)
	metrics  []metric
}

// NewCollector makes a collector of all metrics, named pacgan_*. A snapshot
// that cannot be read fails the scrape, so that Prometheus sees the daemon as
// down rather than as idle.
func NewCollector(snapshot func() (Snapshot, error)) prometheus.Collector {
	var all []metric
	for _, group := range [][]metric{daemonMetrics(), packetMetrics(), controlMetrics(), captureMetrics(), modelMetrics(), trainingMetrics(), idsMetrics(), truthMetrics(), fleetMetrics()} {
		all = append(all, group...)
	}
	return &collector{snapshot: snapshot, metrics: all}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s, err := c.snapshot()
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.metrics[0].desc, err)
		return
	}
	for _, m := range c.metrics {
		m.read(&s, func(v float64, labels ...string) {
			made, err := prometheus.NewConstMetric(m.desc, m.kind, v, labels...)
			if err != nil { // a label that is not UTF-8
				made = prometheus.NewInvalidMetric(m.desc, err)
			}
			out <- made
		})
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pacgan_"+name, help, labels, nil)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// daemonMetrics are about the daemon as a whole.
func daemonMetrics() []metric {
	return []metric{
		{describe("build_info", "1, with the version of the program.", "version"), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) { emit(1, s.Version) }},
		{describe("start_time_seconds", "Unix time from which the packets' counts grow: restarts do not reset them."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) { emit(float64(s.CountsSince.UnixMilli()) / 1e3) }},
		{describe("state", "1 for the state that the daemon is in, 0 for the others.", "state"), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				for _, state := range States() {
					emit(boolean(state == s.State), string(state))
				}
			}},
		{describe("asked_packets_per_second", "Configured rate of injection; 0 where the gaps are learned."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) { emit(s.RateAsked) }},
		{describe("drops_total", "Lost or passed over, and of no label, by reason.", "reason"), prometheus.CounterValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				for reason, n := range s.Drops {
					emit(float64(n), reason)
				}
			}},
	}
}

// truthMetrics are about the record of injected packets.
func truthMetrics() []metric {
	count := func(name, help string, of func(*Truth) uint64) metric {
		return metric{describe(name, help), prometheus.CounterValue, func(s *Snapshot, emit func(float64, ...string)) {
			if s.Truth != nil {
				emit(float64(of(s.Truth)))
			}
		}}
	}
	return []metric{
		count("truth_records_total", "Records of injected packets on the disk.", func(t *Truth) uint64 { return t.Written }),
		count("truth_lost_total", "Records of injected packets that the disk did not take.", func(t *Truth) uint64 { return t.Lost }),
		count("truth_unknown_total", "Records of injected packets whose verdict was lost.", func(t *Truth) uint64 { return t.Unknown }),
	}
}

// counter is a count of each label.
func counter(name, help string, of func(*Label) uint64) metric {
	return metric{describe(name, help, "label"), prometheus.CounterValue,
		func(s *Snapshot, emit func(float64, ...string)) {
			for i := range s.Labels {
				emit(float64(of(&s.Labels[i])), s.Labels[i].Name)
			}
		}}
}

// gauge is a value of each label for which of says so.
func gauge(name, help string, of func(*Label) (v float64, known bool)) metric {
	return metric{describe(name, help, "label"), prometheus.GaugeValue,
		func(s *Snapshot, emit func(float64, ...string)) {
			for i := range s.Labels {
				if v, known := of(&s.Labels[i]); known {
					emit(v, s.Labels[i].Name)
				}
			}
		}}
}

// byReason is a count of each label and reason.
func byReason(name, help string, of func(*Label) map[string]uint64) metric {
	return metric{describe(name, help, "label", "reason"), prometheus.CounterValue,
		func(s *Snapshot, emit func(float64, ...string)) {
			for i := range s.Labels {
				for reason, n := range of(&s.Labels[i]) {
					emit(float64(n), s.Labels[i].Name, reason)
				}
			}
		}}
}

// packetMetrics are the accounting: what became of each generated packet.
func packetMetrics() []metric {
	decided := func(v func(*Label) float64) func(*Label) (float64, bool) {
		return func(l *Label) (float64, bool) { return v(l), l.Success.Decided > 0 }
	}
	return []metric{
		counter("packets_generated_total", "Packets that the generator made.", func(l *Label) uint64 { return l.Generated }),
		counter("packets_malformed_total", "Generated packets that could not be framed.", func(l *Label) uint64 { return l.Malformed }),
		counter("packets_blocked_total", "Packets whose destination the guard refused.", func(l *Label) uint64 { return l.Blocked }),
		byReason("packets_failed_total", "Packets that the kernel did not take, by reason.", func(l *Label) map[string]uint64 { return l.Failed }),
		counter("packets_answered_total", "Packets with a valid response.", func(l *Label) uint64 { return l.Answered }),
		byReason("packets_rejected_total", "Packets with a response that is not valid, by reason.", func(l *Label) map[string]uint64 { return l.Rejected }),
		counter("packets_expired_total", "Packets without a response in time.", func(l *Label) uint64 { return l.Expired }),
		counter("packets_unasked_total", "Packets sent for which no answer is expected.", func(l *Label) uint64 { return l.Unasked }),
		counter("packets_on_wire_total", "Packets counted by the kernel as they left.", func(l *Label) uint64 { return l.OnWire }),
		gauge("packets_inflight", "Packets that wait for their response.", func(l *Label) (float64, bool) { return float64(l.Inflight), true }),
		gauge("packets_decided", "Packets whose end is known: the success ratio's denominator.", func(l *Label) (float64, bool) { return float64(l.Success.Decided), true }),
		gauge("success_ratio", "Answered of decided packets since start_time_seconds.", decided(func(l *Label) float64 { return l.Success.Rate })),
		gauge("success_low_ratio", "Lower end of the success ratio's Wilson 95 % interval.", decided(func(l *Label) float64 { return l.Success.Low })),
		gauge("success_high_ratio", "Upper end of the success ratio's Wilson 95 % interval.", decided(func(l *Label) float64 { return l.Success.High })),
		rttMetric(),
	}
}

// rttMetric is a gauge and no summary: the kernel's histogram has no sum.
func rttMetric() metric {
	return metric{describe("rtt_quantile_seconds", "Round-trip time below which the share q of the answers came.", "label", "q"), prometheus.GaugeValue,
		func(s *Snapshot, emit func(float64, ...string)) {
			for _, l := range s.Labels {
				if l.Answered == 0 {
					continue
				}
				emit(l.RTT.P50.Seconds(), l.Name, "0.5")
				emit(l.RTT.P90.Seconds(), l.Name, "0.9")
				emit(l.RTT.P99.Seconds(), l.Name, "0.99")
			}
		}}
}

// controlMetrics are about captured packets that are injected as they are:
// what the network answers at all.
func controlMetrics() []metric {
	control := func(name, help string, of func(*verify.Success) uint64) metric {
		return metric{describe(name, help, "label"), prometheus.CounterValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				for _, l := range s.Labels {
					if l.Ceiling != nil {
						emit(float64(of(l.Ceiling)), l.Name)
					}
				}
			}}
	}
	return []metric{
		control("control_answered_total", "Captured packets that were injected as a control and answered.", func(s *verify.Success) uint64 { return s.Answered }),
		control("control_decided_total", "Captured packets that were injected as a control and whose end is known.", func(s *verify.Success) uint64 { return s.Decided }),
	}
}

// captureMetrics are about what the model is trained on.
func captureMetrics() []metric {
	return []metric{
		{describe("capture_frames_total", "Frames that entered the LAN interface."), prometheus.CounterValue,
			func(s *Snapshot, emit func(float64, ...string)) { emit(float64(s.Frames)) }},
		counter("capture_labelled_total", "Frames that matched the label's filter and were kept.", func(l *Label) uint64 { return l.Capture.Labelled }),
		counter("capture_dropped_total", "Frames that matched the label's filter and were lost.", func(l *Label) uint64 { return l.Capture.Dropped }),
		gauge("capture_missing_packets", "Packets to capture before the label can be trained.", func(l *Label) (float64, bool) { return float64(l.Missing), true }),
	}
}

// modelMetrics are about the model in use. Its id is no label: ids never end.
func modelMetrics() []metric {
	measured := func(v func(*Quality) float64) func(*Label) (float64, bool) {
		return func(l *Label) (float64, bool) {
			if l.Quality == nil {
				return 0, false
			}
			return v(l.Quality), true
		}
	}
	return []metric{
		{describe("model_info", "1 where there is a model, with its recipe.", "recipe"), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				if s.Model != nil {
					emit(1, s.Model.Recipe)
				}
			}},
		{describe("model_created_timestamp_seconds", "Unix time at which the model in use was made."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				if s.Model != nil {
					emit(float64(s.Model.Created.Unix()))
				}
			}},
		gauge("model_byte_error_bytes", "Mean distance of a generated packet to the nearest real one.", measured(func(q *Quality) float64 { return q.ByteError })),
		gauge("model_novelty_ratio", "Share of generated packets unlike every training packet.", measured(func(q *Quality) float64 { return q.Novelty })),
		gauge("model_coverage_ratio", "Share of real destinations, names and paths that are generated too.", measured(func(q *Quality) float64 { return q.Coverage })),
		gauge("model_field_distance_ratio", "Mean Jensen-Shannon distance of the fields from held-out packets.", measured(func(q *Quality) float64 { return q.FieldDistance })),
		gauge("model_field_distance_floor_ratio", "The same distance between real packets.", measured(func(q *Quality) float64 { return q.FieldDistanceFloor })),
		gauge("model_auc_ratio", "How well a classifier tells generated from real: 0.5 is perfect.", func(l *Label) (float64, bool) {
			if l.Quality == nil || l.Quality.AUCPerClass == 0 {
				return 0, false
			}
			return l.Quality.AUC, true
		}),
	}
}

// trainingMetrics are about the training under way, and whether one is due.
func trainingMetrics() []metric {
	return []metric{
		{describe("training", "1 while a model is trained."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) { emit(boolean(s.Training != nil)) }},
		{describe("training_done_ratio", "Share of the steps that the training under way has made."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				if t := s.Training; t != nil && t.Steps > 0 {
					emit(float64(t.Step) / float64(t.Steps))
				}
			}},
		{describe("drift", "1 where the model in use is no longer as good as it was."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				if s.Drift != nil {
					emit(boolean(s.Drift.Reason != ""))
				}
			}},
		{describe("drift_field_distance_ratio", "Mean Jensen-Shannon distance of the fields of fresh captures from those trained on."), prometheus.GaugeValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				if s.Drift != nil && s.Drift.Distance >= 0 {
					emit(s.Drift.Distance)
				}
			}},
	}
}
