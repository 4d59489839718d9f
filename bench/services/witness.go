package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/packet"
)

// witness is tcpdump on the servers' interface.
type witness struct {
	path string
	cmd  *exec.Cmd
	said *strings.Builder // on stderr
}

// watch starts a witness that writes to path.
func watch(ctx context.Context, network *lab.Lab, path string) (*witness, error) {
	w := &witness{path: path, cmd: network.ServerCommand(ctx, "tcpdump", "-i", plan.ServerHost, "-w", path, "-U", "--immediate-mode", "-B", "65536", "--nano", "ip")}
	w.said = &strings.Builder{}
	w.cmd.Stderr = w.said
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 { // the file's header is written when it listens
			return w, nil
		}
	}
	return nil, fmt.Errorf("tcpdump does not listen after 20 s: %s", w.said)
}

// catchUp waits until the witness has written what it saw: at its end it looks at nothing that still waits for it.
func (w *witness) catchUp() {
	const quiet = 20 // tenths of a second
	for size, still := int64(-1), 0; still < quiet; still++ {
		if info, err := os.Stat(w.path); err == nil && info.Size() != size {
			size, still = info.Size(), 0
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// flow is one side's view of a conversation.
type flow struct{ client, server netip.AddrPort }

// talk is what was said in a flow so far.
type talk struct {
	request []byte
	judged  bool
}

// count ends the witness and counts the requests of each label that were granted, by their first reply.
func (w *witness) count(labels []protocol) (valid map[string]int, err error) {
	w.catchUp()
	if err := w.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return nil, err
	}
	if err := w.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("tcpdump: %w", err)
	}
	if !strings.Contains(w.said.String(), "\n0 packets dropped by kernel") {
		return nil, fmt.Errorf("the witness has not seen all: tcpdump said %q", w.said)
	}
	file, err := os.Open(w.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := pcapgo.NewReader(file)
	if err != nil {
		return nil, err
	}
	c := counter{labels: labels, talks: map[flow]*talk{}, valid: map[string]int{}}
	for {
		frame, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return c.valid, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.path, err)
		}
		c.see(frame)
	}
}

// counter follows flows.
type counter struct {
	labels []protocol
	talks  map[flow]*talk
	valid  map[string]int
}

const ethernet = 14

// see takes one frame.
func (c *counter) see(frame []byte) {
	if len(frame) < ethernet+4 {
		return
	}
	b := frame[ethernet:]
	b = b[:min(len(b), int(binary.BigEndian.Uint16(b[2:])))] // without what pads a short frame
	p, err := packet.ParseIP(b)
	if err != nil || p.FragmentOffset() != 0 {
		return
	}
	var from, to uint16
	opens := false
	switch l4 := p.Payload(); p.Protocol() {
	case packet.ProtoUDP:
		d := packet.UDP(l4)
		from, to, opens = d.SrcPort(), d.DstPort(), true
	case packet.ProtoTCP:
		s := packet.TCP(l4)
		from, to, opens = s.SrcPort(), s.DstPort(), s.Flags()&packet.FlagSYN != 0
	default:
		return
	}
	data := p.L4Data()
	for _, l := range c.labels {
		if l.tcp != (p.Protocol() == packet.ProtoTCP) {
			continue
		}
		switch l.port {
		case int(to):
			c.request(flow{netip.AddrPortFrom(p.Src(), from), netip.AddrPortFrom(p.Dst(), to)}, data, opens)
		case int(from):
			c.reply(l, flow{netip.AddrPortFrom(p.Dst(), to), netip.AddrPortFrom(p.Src(), from)}, data)
		}
	}
}

// request notes what a client said first; a flow that opens begins anew.
func (c *counter) request(f flow, data []byte, opens bool) {
	t := c.talks[f]
	if t == nil || opens {
		t = &talk{}
		c.talks[f] = t
	}
	if t.request == nil && len(data) > 0 {
		t.request = data
	}
}

// reply judges the first that a server says.
func (c *counter) reply(l protocol, f flow, data []byte) {
	t := c.talks[f]
	if t == nil || t.request == nil || t.judged || len(data) == 0 {
		return
	}
	t.judged = true
	if l.valid(t.request, data) {
		c.valid[l.name]++
	}
}
