package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pacgan-appliance/internal/fleet"
	"pacgan-appliance/internal/fleet/member"
	"pacgan-appliance/internal/truth"
)

// gateway is one that injects nothing: it writes truth.
type gateway struct {
	name     string
	number   int
	conn     *nats.Conn
	js       jetstream.JetStream
	log      *truth.Log
	uploader *member.Uploader
	tasks    sync.WaitGroup
	written  uint64
	marks    []mark // written and not known to be acknowledged
	delays   []time.Duration
}

// mark says when so many records were written.
type mark struct {
	records uint64
	at      time.Time
}

func newGateway(ctx context.Context, h *hubProcess, number int, name, dir string) (*gateway, error) {
	g := &gateway{name: name, number: number}
	var err error
	seed := filepath.Join(h.dir, "members", name, "member.nk")
	if g.conn, err = h.member(name, seed); err != nil {
		return nil, err
	}
	key, err := fleet.LoadKey(seed)
	if err != nil {
		return nil, err
	}
	if g.js, err = jetstream.New(g.conn); err != nil {
		return nil, err
	}
	if g.log, err = truth.Open(filepath.Join(dir, "truth"), truth.Options{}); err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	g.uploader = member.NewUploader(g.conn, g.js, name, key, filepath.Join(dir, "truth"), filepath.Join(dir, "cursor"), quiet)
	g.tasks.Go(func() { _ = g.uploader.Run(ctx) })                        // ends with ctx, without an error
	g.tasks.Go(func() { _ = member.Beat(ctx, g.js, key, g.beat, quiet) }) // the same
	return g, nil
}

// beat is as large as that of a gateway with three labels and a sensor.
func (g *gateway) beat() (fleet.Beat, error) {
	b := fleet.Beat{
		Name: g.name, Role: fleet.Gateway, Version: "bench", Time: time.Now(), State: "injecting", Status: "injecting 250/s, 99.2 % answered, model 2 h old",
		Rate: 250, OnWire: 1, Model: "20260301T100000Z-1a2b3c4d", ModelSHA256: modelHash, Spool: g.uploader.Spool(),
	}
	for _, label := range labels {
		b.Labels = append(b.Labels, fleet.LabelBeat{Name: label, Generated: b.Spool.Sent, Answered: b.Spool.Sent})
		b.Sensors = append(b.Sensors, fleet.IDSScore{Sensor: "edge", Label: label, Flows: b.Spool.Sent})
	}
	return b, nil
}

var (
	labels    = []string{"ping", "dns", "traversal"}
	modelHash = strings.Repeat("0123456789abcdef", 4)
	epoch     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// write writes n records of now.
func (g *gateway) write(n int, now time.Time) error {
	for range n {
		i := g.written
		r := truth.Record{
			Timestamp: truth.Time{Time: now}, EventType: truth.EventType, FlowID: i*2654435761 + uint64(g.number),
			SrcIP: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), DestIP: netip.AddrFrom4([4]byte{10, 2, byte(i >> 12), byte(i)}), SrcPort: uint16(i), DestPort: 53, Proto: "UDP",
			CommunityID: fmt.Sprintf("1:%028x=", i),
			Pacgan: truth.Pacgan{
				Label: labels[i%3], Malicious: i%3 == 2, Source: truth.SourceModel, Model: "20260301T100000Z-1a2b3c4d", ModelHash: modelHash, Seed: 7, Index: i,
				Verdict: truth.Answered, RTT: int64(400_000 + i%1000*977), Bytes: 73, Left: int64(12_000 + i%5000), Span: int64(390_000 + i%1000*977), Fingerprint: uint32(i * 2246822519),
			},
		}
		binary.BigEndian.PutUint64(r.UUID[:8], uint64(now.Sub(epoch)))
		binary.BigEndian.PutUint64(r.UUID[8:], uint64(g.number)<<40|i)
		if err := g.log.Append(&r, nil); err != nil {
			return err
		}
		g.written++
	}
	if n > 0 {
		g.marks = append(g.marks, mark{g.written, now})
	}
	return nil
}

// see notes how long ago what the hub has now was written.
func (g *gateway) see(now time.Time) {
	sent := g.uploader.Spool().Sent
	for len(g.marks) > 0 && g.marks[0].records <= sent {
		g.delays = append(g.delays, now.Sub(g.marks[0].at))
		g.marks = g.marks[1:]
	}
}

// finish waits until the hub has all that was written, seeing it come.
func finish(ctx context.Context, all []*gateway) error {
	var err error
	for _, g := range all {
		err = errors.Join(err, g.log.Close())
		if s := g.log.Stats(); s.Lost > 0 || s.Written != g.written {
			err = errors.Join(err, fmt.Errorf("%s: %d records written of %d, %d lost by its own disk", g.name, s.Written, g.written, s.Lost))
		}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for {
		left := 0
		now := time.Now()
		for _, g := range all {
			g.see(now)
			left += len(g.marks)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub lacks records of %d tenths of a second after %v", left, drainLimit)
		case <-time.After(lookEvery):
		}
	}
}

// drainLimit is how long the hub may take for what is left when nothing more is written.
const drainLimit = 5 * time.Minute
