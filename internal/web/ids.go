package web

import (
	"html/template"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pacgan-appliance/internal/chart"
	"pacgan-appliance/internal/score"
)

// renderIDS shows what the sensors make of the injected flows.
func (p *page) renderIDS(s Snapshot) (template.HTML, error) {
	return p.execute("ids", struct {
		IDS []score.LiveScore
		Now time.Time
	}{s.IDS, s.Time})
}

// share is a proportion with how many it is of, and its interval.
func share(s score.Share) string {
	if s.Rate == nil {
		return "–"
	}
	return chart.Percent(*s.Rate) + " % of " + chart.Grouped(s.Of) + " (" + chart.Percent(s.Low) + " – " + chart.Percent(s.High) + ")"
}

// rtt prints a round-trip time.
func rtt(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// after is a time to detect.
func after(s score.Seconds) string { return rtt(time.Duration(float64(s) * float64(time.Second))) }

// idsMetrics are about the sensors whose alerts are scored. Sensors and labels
// are the config's: signatures, which are not, are counted.
func idsMetrics() []metric {
	ofLabels := func(name, help string, of func(*score.Label) uint64) metric {
		return metric{describe(name, help, "ids", "label", "malicious"), prometheus.CounterValue,
			func(s *Snapshot, emit func(float64, ...string)) {
				for _, sensor := range s.IDS {
					for i := range sensor.Labels {
						l := &sensor.Labels[i]
						emit(float64(of(l)), sensor.Name, l.Name, map[bool]string{true: "true", false: "false"}[l.Malicious])
					}
				}
			}}
	}
	ofSensors := func(name, help string, kind prometheus.ValueType, of func(*score.LiveScore) float64) metric {
		return metric{describe(name, help, "ids"), kind, func(s *Snapshot, emit func(float64, ...string)) {
			for i := range s.IDS {
				emit(of(&s.IDS[i]), s.IDS[i].Name)
			}
		}}
	}
	return []metric{
		ofLabels("ids_flows_total", "Injected flows that were answered, whose alerts had the time to come.", func(l *score.Label) uint64 { return l.Detected.Of }),
		ofLabels("ids_flows_alerted_total", "Of these, those that the sensor alerted on.", func(l *score.Label) uint64 { return l.Detected.Hits }),
		ofSensors("ids_events_total", "Lines of the sensor's log.", prometheus.CounterValue, func(s *score.LiveScore) float64 { return float64(s.Events) }),
		ofSensors("ids_alerts_total", "Alerts of the sensor.", prometheus.CounterValue, func(s *score.LiveScore) float64 { return float64(s.Alerts) }),
		ofSensors("ids_ambiguous_alerts_total", "Alerts that fit injected flows, and it cannot be said whether and to which they belong.", prometheus.CounterValue, func(s *score.LiveScore) float64 { return float64(s.Ambiguous) }),
		ofSensors("ids_foreign_alerts_total", "Alerts that belong to no injected flow.", prometheus.CounterValue, func(s *score.LiveScore) float64 { return float64(s.Foreign) }),
		ofSensors("ids_last_event_timestamp_seconds", "Unix time at which the sensor's log grew last.", prometheus.GaugeValue, func(s *score.LiveScore) float64 { return float64(s.LastEvent.UnixMilli()) / 1e3 }),
		ofSensors("ids_alive", "0 where the sensor logs nothing while traffic flows, or its log cannot be read.", prometheus.GaugeValue, func(s *score.LiveScore) float64 { return boolean(!s.Dead && s.Fault == "") }),
		ofSensors("ids_silent_signatures", "Signatures that fired on a malicious label and no longer do.", prometheus.GaugeValue, func(s *score.LiveScore) float64 { return float64(len(s.Silent)) }),
	}
}
