package appliance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/ids"
	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/score"
	"pacgan-appliance/internal/truth"
)

// joinedFlows is the environment variable that says how many flows TestAlertsGoToTheirFlows injects.
const joinedFlows = "PACGAN_JOINED_FLOWS"

// TestAlertsGoToTheirFlows holds the score's joins to Suricata's own word. Rules that flag half of everything are
// shown injected packets among real clients' of the same addresses and of few ports, which all use again and again; for
// each alert Suricata says which packet of the recording it is about (pcap_cnt), and a second recording, where no
// injected packet passes, says whose that is.
//
//	PACGAN_JOINED_FLOWS=50000 go test -run TestAlertsGoToTheirFlows ./internal/appliance
func TestAlertsGoToTheirFlows(t *testing.T) {
	withoutRace(t)
	labtest.RequireRoot(t)
	labtest.RequireProgram(t, "suricata")
	flows := 3000
	if s := os.Getenv(joinedFlows); s != "" {
		var err error
		flows, err = strconv.Atoi(s)
		must(t, err)
	}
	labels := append(lab.Labels(), lab.Flagged()...)
	r := mustRigOf(t, labOptions{
		labels: labels, capturePackets: 600, generate: flows / len(labels), rate: 1000, seed: 7, recipe: "tree", servers: string(lab.Embedded), ids: "suricata",
	}, lab.Options{Seed: 7, Ports: 2000})
	dir := t.TempDir()
	wan, lan := filepath.Join(dir, "wan.pcap"), filepath.Join(dir, "lan.pcap")
	must(t, lab.Tape(t.Context(), lab.GatewayWAN, wan, func() error {
		return lab.Tape(t.Context(), lab.GatewayLAN, lan, func() error { return r.injectAmongClients(t.Context(), labels) })
	}))
	must(t, ids.Read(t.Context(), dir, wan, flagSome()))

	witness := mustReadTapes(t, wan, lan)
	written, starts := mustRelabel(t, filepath.Join(r.state, truthDir))
	want := witness.scoreOf(t, starts, mustReadAlerts(t, ids.EVE(dir)))
	s, err := score.Run(t.Context(), score.Options{
		Truth: written, Sources: []score.Source{{Name: "suricata", Kind: idslog.Suricata, Paths: []string{ids.EVE(dir)}}},
	})
	must(t, err)
	got := alertedFlows{Foreign: s.Sensors[0].Foreign, Of: map[string]uint64{}}
	for _, l := range s.Sensors[0].Labels {
		n := l.Detected.Hits
		for _, a := range l.Apart {
			n += a.Alerted
		}
		if n > 0 {
			got.Of[l.Name] += n
		}
	}
	all, missed, wrong := uint64(0), uint64(0), uint64(0)
	for label := range spread {
		label := fmt.Sprintf("%04d", label)
		all += want.Of[label]
		missed += max(want.Of[label], got.Of[label]) - got.Of[label]
		wrong += max(want.Of[label], got.Of[label]) - want.Of[label]
	}
	t.Logf("%d flows injected; of %d with alerts %d missed; %d alerts of real clients, %d by the score, %d flows wrongly alerted",
		flows, all, missed, want.Foreign, got.Foreign, wrong)
	if all < uint64(flows/4) || want.Foreign < uint64(flows/20) {
		t.Error("too few for this to mean something")
	}
	if n := s.Sensors[0].Ambiguous; missed > 0 || wrong > 0 || got.Foreign != want.Foreign || n > 0 {
		t.Errorf("not each alert is at its flow, or at none; %d are ambiguous; clock: %s", n, s.Sensors[0].Offset)
	}
}

// pause keeps the clients from using up their ports, which their kernel holds back for a minute.
const pause = 200 * time.Millisecond

// injectAmongClients injects generated packets while real clients make the same labels' requests.
func (r *rig) injectAmongClients(ctx context.Context, labels []string) error {
	injecting, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stop()
		_, _, err := r.injectModel(ctx, "among clients", r.labRun.model, r.o.generate)
		return err
	})
	group.Go(func() error {
		for ok := true; ok; ok = wait(injecting, pause) {
			for _, label := range labels {
				if _, err := r.lab.Client(ctx, label, 20); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return group.Wait()
}

// flagSome are rules that fire on about half of all requests, by a bit of theirs that says nothing about who sent them.
func flagSome() []ids.Rule {
	var rules []ids.Rule
	for i, r := range []string{
		`icmp any any -> any any (itype:8; byte_test:1,&,1,8;`,                        // of the time
		`udp any any -> any 53 (byte_test:1,&,1,1;`,                                   // of the query's id
		`http any any -> any any (flow:established,to_server; http.uri; content:"o";`, // of the path
	} {
		rules = append(rules, ids.Rule{SID: i + 1, Text: fmt.Sprintf(`alert %s msg:"some %d"; sid:%d;)`, r, i+1, i+1)})
	}
	return rules
}

// spread is how many labels the truth is given, in turns: an alert that is joined with another flow of its
// addresses and ports is counted for another label.
const spread = 2000

// mustRelabel writes the truth of a directory anew, with as many labels, and returns the file and the labels of
// each flow's records, in the order of their injection, without those that were never on the wire.
func mustRelabel(t *testing.T, dir string) (file string, starts map[packet.FlowKey][]string) {
	t.Helper()
	var lines strings.Builder
	starts = map[packet.FlowKey][]string{}
	i := 0
	for record, err := range truth.Read(dir) {
		must(t, err)
		record.Pacgan.Label = fmt.Sprintf("%04d", i%spread)
		i++
		line, err := json.Marshal(record)
		must(t, err)
		lines.Write(append(line, '\n'))
		if record.Pacgan.Verdict.Sent() {
			key := flowOfRecord(record)
			starts[key] = append(starts[key], record.Pacgan.Label)
		}
	}
	file = filepath.Join(t.TempDir(), "truth.jsonl")
	must(t, os.WriteFile(file, []byte(lines.String()), 0o644))
	return file, starts
}

func flowOfRecord(r *truth.Record) packet.FlowKey {
	k := packet.FlowKey{Protocol: map[string]uint8{"TCP": packet.ProtoTCP, "UDP": packet.ProtoUDP, "ICMP": packet.ProtoICMP}[r.Proto]}
	from, to := r.SrcPort, r.DestPort
	if k.Protocol == packet.ProtoICMP {
		from, to = packet.ICMPPorts(k.Protocol, r.ICMPType, r.ICMPCode)
	}
	k.Src, k.Dst = netip.AddrPortFrom(r.SrcIP, from), netip.AddrPortFrom(r.DestIP, to)
	return k
}

// alertedFlows is what a score counts: flows with alerts by label, and alerts that are nobody's.
type alertedFlows struct {
	Foreign uint64
	Of      map[string]uint64
}

// tapes is what the two recordings say of each packet in front of the servers.
type tapes struct {
	flows   []sighted
	packets []int // the flow of each; -1: none
}

// sighted is a request of UDP or ICMP, or a TCP connection.
type sighted struct {
	key     packet.FlowKey
	isn     uint32 // of TCP
	ours    bool
	ordinal int // of those with the key that are ours
}

// mustReadTapes reads both recordings: what is in front of the servers and not on the LAN is ours.
func mustReadTapes(t *testing.T, wan, lan string) *tapes {
	t.Helper()
	theirs := map[string]int{}
	for _, frame := range mustReadFrames(t, lan) {
		theirs[hopless(frame)]++
	}
	w := &tapes{}
	latest := map[packet.FlowKey]int{}
	ordinals := map[packet.FlowKey]int{}
	for _, frame := range mustReadFrames(t, wan) {
		p, err := packet.ParseIP(frame)
		must(t, err)
		key := packet.FlowOf(p)
		if lab.LANNetwork().Contains(p.Src()) {
			f := sighted{key: key, ours: theirs[hopless(frame)] == 0}
			if !f.ours {
				theirs[hopless(frame)]--
			}
			before, known := latest[key]
			if f.begins(p) && !(known && key.Protocol == packet.ProtoTCP && w.flows[before].isn == f.isn) {
				if f.ours {
					f.ordinal = ordinals[key]
					ordinals[key]++
				}
				latest[key] = len(w.flows)
				w.flows = append(w.flows, f)
			}
		} else {
			key = key.Reverse()
		}
		flow, known := latest[key]
		if !known {
			flow = -1
		}
		w.packets = append(w.packets, flow)
	}
	return w
}

// begins reports whether a client's packet begins a flow, and notes the ISN.
func (s *sighted) begins(p packet.IP) bool {
	if p.Protocol() != packet.ProtoTCP {
		return true
	}
	segment := packet.TCP(p.Payload())
	s.isn = segment.Seq()
	return segment.Flags()&packet.FlagSYN != 0
}

// hopless is a packet without what a router changes of it.
func hopless(ip []byte) string {
	ip = slices.Clone(ip)
	ip[8], ip[10], ip[11] = 0, 0, 0 // TTL, checksum
	return string(ip)
}

func mustReadFrames(t *testing.T, file string) [][]byte {
	t.Helper()
	captured, _, err := dataset.ReadFile(file, "")
	must(t, err)
	frames := make([][]byte, len(captured))
	for i, c := range captured {
		frames[i], err = packet.IPOf(c.Frame)
		must(t, err)
	}
	return frames
}

// mustReadAlerts are the packets, by their number in the recording from 1 on, that alerts are about.
func mustReadAlerts(t *testing.T, eve string) []int {
	t.Helper()
	text, err := os.ReadFile(eve)
	must(t, err)
	var about []int
	for line := range strings.Lines(string(text)) {
		var e struct {
			Type   string `json:"event_type"`
			Packet int    `json:"pcap_cnt"`
		}
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Type == "alert" {
			about = append(about, e.Packet)
		}
	}
	return about
}

// scoreOf is what a score must come to, starts being the labels of the truth's records by flow.
func (w *tapes) scoreOf(t *testing.T, starts map[packet.FlowKey][]string, alerts []int) alertedFlows {
	t.Helper()
	seen := map[packet.FlowKey]int{}
	for _, f := range w.flows {
		if f.ours {
			seen[f.key]++
		}
	}
	for key, labels := range starts {
		if seen[key] != len(labels) {
			t.Errorf("%v: %d flows of ours on the wire, %d in the truth", key, seen[key], len(labels))
		}
	}
	want := alertedFlows{Of: map[string]uint64{}}
	alerted := map[int]bool{}
	for _, number := range alerts {
		flow := w.packets[number-1]
		if flow < 0 {
			t.Fatalf("an alert about packet %d, of no flow that began", number)
		}
		f := w.flows[flow]
		switch {
		case !f.ours:
			want.Foreign++
		case !alerted[flow] && f.ordinal < len(starts[f.key]):
			alerted[flow] = true
			want.Of[starts[f.key][f.ordinal]]++
		}
	}
	return want
}
