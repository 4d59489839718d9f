package main

import "testing"

func life(pid, from, to int, rss func(i int) float64) []sample {
	var out []sample
	for i := from; i < to; i++ {
		out = append(out, sample{At: float64(i), PID: pid, RSS: rss(i), BPF: 9, Files: 40, Goroutines: 10, Disk: 5})
	}
	return out
}

func TestJudgeSizes(t *testing.T) {
	flat := func(int) float64 { return 70 }
	for _, tt := range []struct {
		name string
		give []sample
		want bool
	}{
		{"flat", life(1, 0, 100, flat), true},
		{"grows", life(1, 0, 100, func(i int) float64 { return 70 + float64(i) }), false},
		{"grows while it warms up", life(1, 0, 100, func(i int) float64 { return 70 + 2*float64(min(i, 20)) }), true},
		{"levels off after some minutes", life(1, 0, 1800, func(i int) float64 { return 70 + 0.08*float64(min(i, 480)) }), true},
		{"leaks a little", life(1, 0, 1800, func(i int) float64 { return 70 + 0.01*float64(i) }), false},
		{"a new process begins anew", append(life(1, 0, 100, flat), life(2, 100, 150, func(i int) float64 { return 120 })...), true},
		{"too few", life(1, 0, 15, flat), false},
		{"large from the start", life(1, 0, 100, func(int) float64 { return 130 }), false},
		{"a map more", append(life(1, 0, 99, flat), sample{At: 99, PID: 1, RSS: 70, BPF: 10, Files: 40, Goroutines: 10}), false},
		{"too much on disk", append(life(1, 0, 99, flat), sample{At: 99, PID: 1, RSS: 70, BPF: 9, Files: 40, Goroutines: 10, Disk: 11}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			holds := true
			for _, r := range judgeSizes(tt.give, 10) {
				holds = holds && r.Holds
			}
			if holds != tt.want {
				t.Errorf("%+v: %v, want %v", judgeSizes(tt.give, 10), holds, tt.want)
			}
		})
	}
}

func TestJudgeClients(t *testing.T) {
	servers := event{Name: "servers dead", From: 10, To: 20, Hits: true}
	pause := event{Name: "pause", From: 30, To: 40}
	for _, tt := range []struct {
		name string
		give batch
		want bool
	}{
		{"answered", batch{From: 1, To: 2, Made: 5, OK: 5}, true},
		{"one lost", batch{From: 1, To: 2, Made: 5, OK: 4}, false},
		{"one lost as the servers die", batch{From: 9, To: 11, Made: 5, OK: 4}, false}, // nothing is left to judge by
		{"one lost in a pause, which is ours", batch{From: 31, To: 32, Made: 5, OK: 4}, false},
		{"long after the servers' return", batch{From: 26, To: 27, Made: 5, OK: 5}, true},
	} {
		if got := judgeClients([]batch{tt.give}, []event{servers, pause}); got.Holds != tt.want {
			t.Errorf("%s: %+v, want %v", tt.name, got, tt.want)
		}
	}
	both := []batch{{From: 9, To: 11, Made: 5}, {From: 26, To: 27, Made: 5, OK: 5}}
	if got := judgeClients(both, []event{servers}); !got.Holds {
		t.Errorf("a failure while the servers are dead counts: %+v", got)
	}
}

func TestJudgeEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		give []event
		want bool
	}{
		{"none", nil, false},
		{"recovered", []event{{Recovered: 2}}, true},
		{"never", []event{{Recovered: -1}}, false},
		{"late", []event{{Recovered: 31}}, false},
		{"could not be done", []event{{Recovered: 1, Fault: "rubbish was taken"}}, false},
	} {
		rules := judgeEvents(tt.give)
		if got := rules[len(rules)-1].Holds; got != tt.want {
			t.Errorf("%s: %+v, want %v", tt.name, rules, tt.want)
		}
	}
}
