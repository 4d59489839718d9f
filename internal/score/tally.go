package score

// tally counts what one sensor made of the flows.
type tally struct {
	classes []classTally
	rules   []ruleTally // by signature
	alerts  uint64
	others  uint64   // of them, that belong to no flow
	unclear uint64   // of them, that fit a flow which cannot be named
	time    timeline // of the scored flows
	// mostTimes bounds each class's times; 0: nothing does.
	mostTimes int
}

// classTally counts one class's flows.
type classTally struct {
	flows, alerted [endings]uint64
	times          []int64 // ns to the first alert of each scored flow that was alerted
	timed          uint64  // how many there were: of more than mostTimes, times are the last
}

// ruleTally counts what one signature fired on.
type ruleTally struct {
	flows, alerts map[int32]uint64 // by class
	foreign       uint64
	unclear       uint64
}

func (t *tally) class(n int32) *classTally {
	if grow := int(n) + 1 - len(t.classes); grow > 0 {
		t.classes = append(t.classes, make([]classTally, grow)...)
	}
	return &t.classes[n]
}

func (t *tally) rule(n int32) *ruleTally {
	for int(n) >= len(t.rules) {
		t.rules = append(t.rules, ruleTally{flows: map[int32]uint64{}, alerts: map[int32]uint64{}})
	}
	return &t.rules[n]
}

// flow counts a flow of the truth.
func (t *tally) flow(class int32, e ending, start int64) {
	t.class(class).flows[e]++
	if e == scored {
		t.time.add(class, start, 1, 0)
	}
}

// fired counts an alert on a flow; first says that its signature had not fired
// on the flow before.
func (t *tally) fired(signature, class int32, first bool) {
	t.alerts++
	r := t.rule(signature)
	r.alerts[class]++
	if first {
		r.flows[class]++
	}
}

// foreign counts an alert that belongs to no flow.
func (t *tally) foreign(signature int32) {
	t.alerts++
	t.others++
	t.rule(signature).foreign++
}

// ambiguous counts an alert that fits flows, of which none can be named.
func (t *tally) ambiguous(signature int32) {
	t.alerts++
	t.unclear++
	t.rule(signature).unclear++
}

// alerted counts a flow that has alerts, after how many ns the first.
func (t *tally) alerted(class int32, e ending, start, after int64) {
	c := t.class(class)
	c.alerted[e]++
	if e == scored {
		t.time.add(class, start, 0, 1)
		c.timed++
		if t.mostTimes > 0 && len(c.times) == t.mostTimes {
			c.times[c.timed%uint64(t.mostTimes)] = max(0, after)
		} else {
			c.times = append(c.times, max(0, after))
		}
	}
}

// quantile is the q-th quantile of sorted times, 0 where there are none.
func quantile(times []int64, q float64) int64 {
	if len(times) == 0 {
		return 0
	}
	return times[min(int(q*float64(len(times))), len(times)-1)]
}
