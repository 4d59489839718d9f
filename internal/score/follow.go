package score

import (
	"bytes"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/tail"
)

// Follow reads the sensors' logs as they are written, until ctx ends.
func (l *Live) Follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range l.options.Sensors {
		group.Go(func() error { return l.follow(ctx, i, s) })
	}
	return group.Wait()
}

func (l *Live) follow(ctx context.Context, sensor int, s LiveSource) error {
	p, err := idslog.NewParser(s.Kind, time.Now())
	if err != nil {
		return err
	}
	var e idslog.Event
	return tail.Follow(ctx, tail.Options{
		Path: s.Path,
		Head: func(line []byte) bool { return s.Kind == idslog.Zeek && bytes.HasPrefix(line, []byte("#")) },
		Line: func(line []byte) {
			switch said, err := p.Parse(line, &e); {
			case err != nil:
				l.BadLine(sensor, err)
			case said:
				l.Event(sensor, &e)
			}
		},
		Fault: func(err error) { l.Fault(sensor, err) },
	})
}

// Problems name what is wrong with the sensor in words that stay the same while
// it is: to be said once.
func (s *LiveScore) Problems() []string {
	var out []string
	switch {
	case s.Fault != "":
		out = append(out, "IDS "+s.Name+": its log cannot be read: "+s.Fault)
	case s.Dead:
		out = append(out, "IDS "+s.Name+": logs nothing while traffic flows")
	}
	for _, one := range s.Silent {
		out = append(out, "IDS "+s.Name+": signature "+one.ID+" no longer fires on "+one.Label)
	}
	return out
}
