package inject

import (
	"errors"
	"fmt"
	"time"
)

// Engine is a way of handing frames to the kernel.
type Engine string

// The engines. What comes a few at a time goes by EngineSendmmsg in any case: the
// frames of TCP conversations, and what is sent at a rate.
const (
	EngineSendmmsg Engine = "sendmmsg" // a packet socket
	EngineXDP      Engine = "xdp"      // the kernel's live frames, for what is sent as fast as it goes
	EngineAuto     Engine = "auto"     // the faster of them, measured by Open
)

// Choice is the engine in use and why.
type Choice struct {
	Engine   Engine
	Measured map[Engine]float64 // packets a second; empty where nothing was measured
	Missing  error              // why EngineXDP was not tried; nil: it was
}

// String says what was chosen, and what was measured if anything was.
func (c Choice) String() string {
	other := EngineXDP
	if c.Engine == EngineXDP {
		other = EngineSendmmsg
	}
	switch {
	case c.Missing != nil:
		return fmt.Sprintf("%s (no %s: %v)", c.Engine, EngineXDP, c.Missing)
	case len(c.Measured) > 0:
		return fmt.Sprintf("%s (%.0f packets/s, %.0f with %s)", c.Engine, c.Measured[c.Engine], c.Measured[other], other)
	}
	return string(c.Engine)
}

// Engine is the engine in use.
func (in *Injector) Engine() Choice { return in.choice }

// openPath opens the engine that Options ask for.
func (in *Injector) openPath() error {
	in.choice.Engine = in.options.Engine
	var p path
	var err error
	switch in.options.Engine {
	case EngineSendmmsg:
		p, err = newSendmmsg(in.cable.near, framesFor(in.cable.near.Attrs().MTU))
	case EngineXDP:
		p, err = newXDP(in.cable)
		if err != nil {
			err = fmt.Errorf(`engine "xdp": %w: use "sendmmsg"`, err)
		}
	case EngineAuto:
		p, err = in.faster()
	default:
		err = fmt.Errorf("engine %q: must be %s, %s or %s", in.options.Engine, EngineAuto, EngineSendmmsg, EngineXDP)
	}
	if err != nil {
		return err
	}
	in.sender = newSender(attended{p, &in.gate}, in.ledger, func(uint32) {})
	return nil
}

const (
	probeSlice = 50 * time.Millisecond
	probeTurns = 10 // of each engine: one second in all
	probeBytes = 75
	noLabel    = 0xff // PROBE_LABEL in bpf/guard.c
)

// faster measures both engines and keeps the faster one. Slices take turns and
// the best of each counts, so that other processes disturb both alike.
func (in *Injector) faster() (path, error) {
	packets, err := newSendmmsg(in.cable.near, framesFor(in.cable.near.Attrs().MTU))
	if err != nil {
		return nil, err
	}
	in.choice.Engine = EngineSendmmsg
	frames, err := newXDP(in.cable)
	if err != nil {
		in.choice.Missing = err
		return packets, nil
	}
	best := map[Engine]float64{}
	for range probeTurns {
		for engine, p := range map[Engine]path{EngineSendmmsg: packets, EngineXDP: frames} {
			rate, err := in.probe(p)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("measure engine %s: %w", engine, err), packets.close(), frames.close())
			}
			best[engine] = max(best[engine], rate)
		}
	}
	in.choice.Measured = best
	if err := in.settleProbes(); err != nil {
		return nil, errors.Join(err, packets.close(), frames.close())
	}
	if best[EngineXDP] > best[EngineSendmmsg] {
		in.choice.Engine = EngineXDP
		return frames, packets.close()
	}
	return packets, frames.close()
}

// probe sends for a moment, and returns packets a second. The frames have no
// label, so that the guard drops them.
func (in *Injector) probe(p path) (float64, error) {
	begin := monotonic()
	end := begin + int64(probeSlice)
	sent := uint64(0)
	now := begin
	for ; now < end; now = monotonic() {
		for i := range p.batch() {
			b, err := p.frame(i)
			if err != nil {
				return 0, err
			}
			putHeader(b, [6]byte{metaLocal}, meta{label: noLabel})
			p.setLength(i, probeBytes)
		}
		n, err := p.send(0, p.batch())
		sent += uint64(n)
		if err != nil {
			return 0, err
		}
	}
	in.probed += sent
	return float64(sent) / (float64(now-begin) / 1e9), nil
}

// settleProbes waits until the guard has dropped what probe sent: its count is
// where counting begins.
func (in *Injector) settleProbes() error {
	sent := in.probed
	in.probed = 0
	for deadline := monotonic() + int64(time.Second); ; {
		drops, err := in.Drops()
		if err != nil {
			return err
		}
		if drops.Foreign >= sent || monotonic() > deadline {
			in.probed = drops.Foreign
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}
