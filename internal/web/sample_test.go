package web

import (
	"math"
	"time"

	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/score"
	"pacgan-appliance/internal/verify"
	"pacgan-appliance/internal/wilson"
)

// noon is the time of sample.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample is a daemon that injects three labels.
func sample() Snapshot {
	return Snapshot{
		Time: noon, Started: noon.Add(-26 * time.Hour), CountsSince: noon.Add(-50 * time.Hour), Version: "0.9.0", State: Injecting,
		Status: "injecting 50.0/s, 99.2 % answered, model 2 h old", RateAsked: 50, Frames: 91_000,
		Drops: map[string]uint64{"fragments": 2, "late replies": 5},
		Labels: []Label{
			{
				Name: "ping", Answer: "icmp-echo", RTT: RTT{180 * time.Microsecond, 320 * time.Microsecond, 2 * time.Millisecond},
				Counts:  Counts{Generated: 1000, Answered: 990, Expired: 8, Inflight: 2, OnWire: 1000},
				Success: verify.SuccessOf(990, 998), Capture: LabelCapture{Labelled: 4000}, Ceiling: &verify.Success{Rate: 1, Low: 0.91, High: 1, Answered: 40, Decided: 40},
				Quality: &Quality{Generated: 3000, HeldOut: 1000, ByteError: 0.31, Novelty: 0.98, Coverage: 1, FieldDistance: 0.041, FieldDistanceFloor: 0.03, AUC: 0.52, AUCPerClass: 1000},
			},
			{
				Name: "dns", Answer: "dns", RTT: RTT{400 * time.Microsecond, 900 * time.Microsecond, 4 * time.Millisecond},
				Counts: Counts{
					Generated: 1000, Malformed: 1, Blocked: 2, Failed: map[string]uint64{"no route": 3}, Answered: 900,
					Rejected: map[string]uint64{"nxdomain": 80, "refused": 4}, Expired: 9, Inflight: 1, OnWire: 994,
				},
				Success: verify.SuccessOf(900, 999), Capture: LabelCapture{Labelled: 4000, Dropped: 7},
				Quality: &Quality{Generated: 3000, HeldOut: 1000, ByteError: 1.2, Novelty: 0.9, Coverage: 0.97, FieldDistance: 0.05, FieldDistanceFloor: 0.03},
			},
			{Name: "beacon", Answer: "none", Counts: Counts{Generated: 50, Unasked: 50, OnWire: 50}, Success: verify.SuccessOf(0, 0), Missing: 120},
		},
		Model:    &Model{ID: "20260301T100000Z-1a2b3c4d", Created: noon.Add(-2 * time.Hour), Recipe: "gan", Step: 400, Curve: sampleCurve()},
		Drift:    &Drift{Distance: 0.032},
		IDS:      sampleIDS(),
		Truth:    &Truth{Written: 40990, Lost: 7, Unknown: 3},
		Fleet:    &Fleet{Name: "lab-a", Connected: true, Waiting: 4096, Sent: 40_800},
		Training: &TrainingRun{Began: noon.Add(-time.Minute), Recipe: "gan", Step: 90, Steps: 450, Curve: sampleCurve()},
	}
}

// sampleIDS is a sensor of which one rule is gone.
func sampleIDS() []score.LiveScore {
	rate := func(hits, of uint64) score.Share {
		r := float64(hits) / float64(of)
		s := score.Share{Hits: hits, Of: of, Rate: &r}
		s.Low, s.High = wilson.Interval(hits, of)
		return s
	}
	return []score.LiveScore{{
		Sensor: score.Sensor{
			Name: "edge", Kind: "suricata", Files: []string{"/var/log/suricata/eve.json"}, Events: 9_000, Alerts: 1_200, Foreign: 17,
			Labels: []score.Label{
				{Name: "ping", Detected: rate(0, 990), Measures: score.Measures{FalseAlerts: rate(0, 990)}},
				{
					Name: "traversal", Malicious: true, Detected: rate(970, 1000), DetectP50: 0.0004, DetectP99: 0.003, Apart: map[string]score.Apart{"expired": {Flows: 12}},
					Measures: score.Measures{Recall: rate(970, 1000), Precision: rate(970, 971)},
				},
			},
			All:        score.Measures{Recall: rate(970, 1000), Precision: rate(970, 971), FalseAlerts: rate(1, 1990)},
			Signatures: []score.Signature{{ID: "1:9000001", Text: "LOCAL <traversal>", Fired: []score.FiredOnLabel{{Label: "traversal", Flows: 970, Alerts: 1183}}, Foreign: 17, First: noon.Add(-time.Hour), Last: noon.Add(-time.Minute)}},
		},
		Since: noon.Add(-time.Hour), LastEvent: noon.Add(-2 * time.Second),
		Silent: []score.Silent{{ID: "1:9000001", Text: "LOCAL <traversal>", Label: "traversal", For: 42, Flows: 180, Rate: 0.98}},
	}}
}

// sampleCurve is a training of 450 steps.
func sampleCurve() Curve {
	c := Curve{Floor: 0.031, Chosen: 400}
	for step := 0; step <= 450; step += 50 {
		x := float64(step) / 450
		c.Checkpoints = append(c.Checkpoints, Checkpoint{step, 0.034 + 0.05*math.Exp(-4*x) + 0.004*math.Sin(9*x)})
		c.Losses = append(c.Losses, Losses{step + 1, -2 + 1.5*math.Exp(-3*x), 0.5 * math.Sin(7*x)})
	}
	return c
}

// sampleModels are the model in use and one that was kept aside.
func sampleModels() []ModelReport {
	quality := sample().Labels[0].Quality
	return []ModelReport{
		{
			Model: *sample().Model, Steps: 450, Took: 66 * time.Second, Software: "0.9.0", Seed: 7, Current: true, Promoted: true,
			Reason: "at least as good as the one before", Judged: noon.Add(-2 * time.Hour),
			Canary: []CanaryReport{{"ping", verify.SuccessOf(200, 200), verify.SuccessOf(198, 200), verify.SuccessOf(20, 20)}},
			Labels: []LabelReport{{"ping", quality, 1500}, {"dns", nil, 1500}},
		},
		{Model: Model{ID: "20260301T040000Z-0badcafe", Created: noon.Add(-8 * time.Hour), Recipe: "gan", Step: 45}, Steps: 450, Aside: true, Reason: "canary: dns 91.0 % of 200 answered, the model in use 99.0 %"},
		{Model: Model{ID: "20260228T040000Z-deadbeef"}, Fault: "manifest.json: unexpected end of JSON input"},
	}
}

// samplePackets are two pings and a DNS query.
func samplePackets() []Packets {
	return []Packets{
		{"ping", encoding.Paper(), [][]byte{ping(7, 3), ping(7, 4)}, [][]byte{ping(8, 1), ping(7, 2)}},
		{"dns", encoding.Paper(), [][]byte{query(0x1234, "example.com")}, [][]byte{query(0x1233, "example.org"), query(1, "a.test")}},
	}
}
