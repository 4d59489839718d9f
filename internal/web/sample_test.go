package web

import (
	"time"

	"pacgan-appliance/internal/verify"
)

// noon is the time of sample.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample is a daemon that injects three labels.
func sample() Snapshot {
	return Snapshot{
		Time: noon, Started: noon.Add(-26 * time.Hour), Version: "0.9.0", State: Injecting,
		Status: "injecting 50.0/s, 99.2 % answered, model 2 h old", RateAsked: 50, Frames: 91_000,
		Drops: map[string]uint64{"fragments": 2, "late replies": 5},
		Labels: []Label{
			{
				Name: "ping", Answer: "icmp-echo", RTT: RTT{180 * time.Microsecond, 320 * time.Microsecond, 2 * time.Millisecond},
				Counts:  Counts{Generated: 1000, Answered: 990, Expired: 8, Inflight: 2, OnWire: 1000},
				Success: verify.SuccessOf(990, 998), Capture: LabelCapture{Labelled: 4000},
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
		Model: &Model{ID: "20260301T100000Z-1a2b3c4d", Created: noon.Add(-2 * time.Hour), Recipe: "gan", Step: 400},
	}
}
