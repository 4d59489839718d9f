package score

import "time"

// mostMoments is how finely a timeline tells times apart.
const mostMoments = 120

// timeline counts flows over time, in at most mostMoments stretches: when the
// time outgrows them, each two become one.
type timeline struct {
	from, step int64 // ns
	counts     [][]moment
}

// moment is one stretch of one class.
type moment struct{ flows, alerted uint64 }

// add counts flows of a class that began at a time, which is not before the
// first that was ever added.
func (t *timeline) add(class int32, at int64, flows, alerted uint64) {
	if t.step == 0 {
		t.from, t.step = at, 1e9
	}
	i := (at - t.from) / t.step
	for ; i >= mostMoments; i = (at - t.from) / t.step {
		t.coarsen()
	}
	for int(class) >= len(t.counts) {
		t.counts = append(t.counts, nil)
	}
	for int(i) >= len(t.counts[class]) {
		t.counts[class] = append(t.counts[class], moment{})
	}
	m := &t.counts[class][i]
	m.flows += flows
	m.alerted += alerted
}

func (t *timeline) coarsen() {
	t.step *= 2
	for class, moments := range t.counts {
		merged := moments[:0]
		for i := 0; i < len(moments); i += 2 {
			m := moments[i]
			if i+1 < len(moments) {
				m.flows += moments[i+1].flows
				m.alerted += moments[i+1].alerted
			}
			merged = append(merged, m)
		}
		t.counts[class] = merged
	}
}

// moments are those of one class.
func (t *timeline) moments(class int) []Moment {
	if class >= len(t.counts) {
		return nil
	}
	var out []Moment
	for i, m := range t.counts[class] {
		start := time.Unix(0, t.from+int64(i)*t.step).UTC()
		out = append(out, Moment{start, secondsOf(t.step), m.flows, m.alerted})
	}
	return out
}
