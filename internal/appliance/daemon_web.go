package appliance

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"pacgan-appliance/internal/quality"
	"pacgan-appliance/internal/web"
)

// How long a client of the page may take to ask and to read (the event stream
// sets itself another time for each event), may keep a connection that it does
// not use, and how long answers may go on when the daemon ends.
const (
	webRequestTimeout = 5 * time.Second
	webReadTimeout    = 30 * time.Second
	webIdleTimeout    = time.Minute
	webGrace          = 2 * time.Second
)

// serveWeb serves the page and the metrics until ctx ends.
func (s *service) serveWeb(ctx context.Context, ready func()) error {
	l, err := s.page.take(*s.cfg.Load())
	if err != nil {
		return err
	}
	ready()
	if l == nil {
		<-ctx.Done()
		return nil
	}
	handler, err := web.New(web.Options{
		Snapshot: s.snapshot, History: s.history, Packets: s.shownExamples, Models: s.modelReports, Hosts: hosts(),
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: webRequestTimeout, WriteTimeout: webReadTimeout, IdleTimeout: webIdleTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), webGrace)
	defer cancel()
	return server.Shutdown(grace)
}

// hosts are names by which the page may be asked for: the machine's, where it
// has one.
func hosts() []string {
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	return []string{name}
}

// remember keeps the history of the success rates. A disk that takes no more
// costs points of the chart, and nothing else.
func (s *service) remember(ctx context.Context, ready func()) error {
	snapshot := func() (web.Snapshot, error) {
		s.remembered.beat()
		ready()
		return s.snapshot()
	}
	return s.history.Record(ctx, snapshot, func(err error) {
		s.log.Warn("the page's history has a gap", "error", err)
	})
}

// snapshot is the daemon's state as the page and the metrics show it.
func (s *service) snapshot() (web.Snapshot, error) {
	now, err := s.status()
	if err != nil {
		return web.Snapshot{}, err
	}
	out := web.Snapshot{
		Time: time.Now(), Started: now.Started, CountsSince: now.CountsSince, Version: now.Version, State: s.webState(), Status: now.Line,
		RateAsked: now.Rate, Frames: now.Capture.Seen, Drops: now.Drops.byReason(), Training: s.trainer.webTraining(),
	}
	captures, missing := map[string]LabelCaptureStatus{}, map[string]int{}
	for _, l := range now.Capture.Labels {
		captures[l.Label] = l
	}
	for _, m := range now.Missing {
		missing[m.Label] = m.Need - m.Have
	}
	for _, l := range now.Labels {
		captured := captures[l.Label]
		one := web.Label{
			Name: l.Label, Answer: l.Answer, Counts: webCounts(l.Counts), Success: l.success(),
			RTT:     web.RTT{P50: fromMillis(l.RTT.P50), P90: fromMillis(l.RTT.P90), P99: fromMillis(l.RTT.P99)},
			Capture: web.LabelCapture{Labelled: captured.Captured, Dropped: captured.Dropped},
			Missing: missing[l.Label],
		}
		if l.Ceiling != nil {
			success := successOf(*l.Ceiling)
			one.Ceiling = &success
		}
		out.Labels = append(out.Labels, one)
	}
	if m := s.current.Load(); m != nil {
		m.describe(&out)
	}
	out.IDS = now.IDS
	if t := now.Truth; t != nil {
		out.Truth = &web.Truth{Written: t.Written, Lost: t.Lost, Unknown: t.Unknown}
	}
	out.Fleet = now.Fleet.web()
	if reason := s.trainer.drift.Load(); reason != nil {
		out.Drift = &web.Drift{Reason: *reason, Distance: -1}
	}
	return out, nil
}

// describe fills in the model in use, and how good it was when it was trained.
func (m *liveModel) describe(out *web.Snapshot) {
	out.Model = &web.Model{ID: m.id, Created: m.manifest.Created, Recipe: string(m.model.Recipe)}
	if t := m.manifest.Training; t != nil {
		out.Model.Step, out.Model.Curve = t.Step, webCurve(t)
	}
	for i := range out.Labels {
		if r, ok := m.quality[out.Labels[i].Name]; ok {
			out.Labels[i].Quality = webQuality(r)
		}
	}
}

func webQuality(r quality.Report) *web.Quality {
	return &web.Quality{
		Generated: r.N.Generated, HeldOut: r.N.HeldOut, ByteError: r.ByteError, Novelty: r.Novelty, Coverage: r.Coverage,
		FieldDistance: r.FieldJSD.Mean, FieldDistanceFloor: r.FieldJSDFloor.Mean, AUC: r.AUC, AUCPerClass: r.N.AUCPerClass,
	}
}

// webState is the daemon's state as the page names it: a task that waits for
// its restart comes first.
func (s *service) webState() web.State {
	for _, t := range s.tasks.tasks() {
		if !t.Running {
			return web.Failing
		}
	}
	switch s.state() {
	case statePaused:
		return web.Paused
	case stateInjecting:
		return web.Injecting
	case stateTraining:
		return web.Training
	}
	return web.Collecting
}

func webCounts(c Counts) web.Counts {
	return web.Counts{
		Generated: c.Generated, Malformed: c.Malformed, Blocked: c.Blocked, Failed: c.FailedReasons, Answered: c.Answered,
		Rejected: c.Rejected, Expired: c.Expired, Inflight: c.Inflight, Unasked: c.Unasked, OnWire: c.OnWire,
	}
}

// byReason are the drops that belong to no label, by a short constant reason.
func (d DropStatus) byReason() map[string]uint64 {
	return map[string]uint64{
		"disk_full": uint64(d.Disk), "guard_foreign": d.Foreign, "guard_not_ipv4": d.NotIPv4, "guard_not_allowed": d.NotAllowed,
		"guard_unexpected": d.Unexpected, "segments_lost": d.SegmentsLost, "cable": d.Cable, "wire": d.Wire,
	}
}
