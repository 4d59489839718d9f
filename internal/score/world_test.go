package score

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// world is a made-up test network: injected flows, what a sensor with its own
// clock alerts on, and other people's traffic. Each alert's signature is the
// number of its flow's label, so that an alert at a wrong flow shows.
type world struct {
	flows   int
	labels  int
	clients int // with 2 servers and ports: how often a 5-tuple comes again
	ports   int
	offset  time.Duration // of the sensor's clock
	gap     time.Duration // least time between two flows of a 5-tuple
	foreign int           // alerts on other people's flows, of them a half on 5-tuples of ours at other times
	alerted float64       // share of the flows with alerts
}

// made is what a world wrote.
type made struct {
	truth, eve string
	alerts     map[string]uint64 // by label
	flows      map[string]uint64 // with alerts, by label
	foreign    uint64
}

// span is from where a flow is handed over to its answer, in ns: all packets about it come before that.
func (w world) span() int { return 420_000 + int(w.gap)/2 }

const foreignSignature = 999_999

var worldBegan = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

type worldFlow struct {
	src, dst     netip.Addr
	sport, dport int
	proto        string
}

func (w world) flow(r *rand.Rand) worldFlow {
	f := worldFlow{proto: []string{"TCP", "UDP", "TCP", "UDP", "ICMP"}[r.IntN(5)]}
	client, server := r.IntN(w.clients), r.IntN(2)
	if r.IntN(4) == 0 {
		f.src, f.dst = netip.MustParseAddr(fmt.Sprintf("fd00::1:%x", client+1)), netip.MustParseAddr(fmt.Sprintf("fd00::2:%x", server+1))
		if f.proto == "ICMP" {
			f.proto = "IPv6-ICMP"
		}
	} else {
		f.src, f.dst = netip.AddrFrom4([4]byte{10, 77, 1, byte(client + 1)}), netip.AddrFrom4([4]byte{10, 77, 2, byte(server + 1)})
	}
	if f.proto != "TCP" && f.proto != "UDP" {
		return f
	}
	f.sport, f.dport = 40000+r.IntN(w.ports), map[string]int{"TCP": 80, "UDP": 53}[f.proto]
	return f
}

// ends are the members of EVE that name the flow, reversed where a reply raised the alert.
func (f worldFlow) ends(reversed bool) string {
	kind := map[string][2]int{"ICMP": {8, 0}, "IPv6-ICMP": {128, 129}}[f.proto]
	if reversed {
		f.src, f.dst, f.sport, f.dport, kind[0] = f.dst, f.src, f.dport, f.sport, kind[1]
	}
	if f.proto == "ICMP" || f.proto == "IPv6-ICMP" {
		return fmt.Sprintf(`"src_ip":"%s","dest_ip":"%s","proto":"%s","icmp_type":%d,"icmp_code":0`, f.src, f.dst, f.proto, kind[0])
	}
	return fmt.Sprintf(`"src_ip":"%s","src_port":%d,"dest_ip":"%s","dest_port":%d,"proto":"%s"`, f.src, f.sport, f.dst, f.dport, f.proto)
}

const eveTime = "2006-01-02T15:04:05.000000-0700"

func (w world) make(tb testing.TB, seed uint64) made {
	tb.Helper()
	return w.makeIn(tb, tb.TempDir(), seed)
}

func (w world) makeIn(tb testing.TB, dir string, seed uint64) made {
	tb.Helper()
	m := made{truth: filepath.Join(dir, "truth.jsonl"), eve: filepath.Join(dir, "eve.json"), alerts: map[string]uint64{}, flows: map[string]uint64{}}
	truthFile, eveFile := mustCreate(tb, m.truth), mustCreate(tb, m.eve)
	r := rand.New(rand.NewPCG(seed, 0))
	now := worldBegan
	alert := func(at, start time.Time, f worldFlow, signature int, reversed bool) {
		members := f.ends(reversed)
		if f.proto == "ICMP" && r.IntN(2) == 0 { // the two ends changed places, and not the type
			members = worldFlow{f.dst, f.src, 0, 0, f.proto}.ends(reversed)
		}
		fmt.Fprintf(eveFile, `{"timestamp":"%s","flow_id":%d,"in_iface":"br0","event_type":"alert",%s,"alert":{"action":"allowed","gid":1,"signature_id":%d,"rev":1,"signature":"made \"up\" %d"},"flow":{"pkts_toserver":3,"start":"%s"}}`+"\n",
			at.Add(w.offset).UTC().Format(eveTime), r.Int64N(1<<50), members, signature, signature, start.Add(w.offset).UTC().Format(eveTime))
	}
	last := map[worldFlow]time.Time{}
	foreign := func() {
		f := worldFlow{netip.AddrFrom4([4]byte{10, 99, 0, byte(r.IntN(250))}), netip.AddrFrom4([4]byte{10, 77, 2, 1}), r.IntN(60000), 80, "TCP"}
		if r.IntN(2) == 0 { // a client that has our ports, at another time
			f = w.flow(r)
			if began, ok := last[f]; ok && now.Sub(began) < w.gap {
				return
			}
			last[f] = now
		}
		alert(now.Add(time.Millisecond), now, f, foreignSignature, r.IntN(3) == 0)
		m.foreign++
	}
	for i := range w.flows {
		f := w.flow(r)
		now = now.Add(time.Duration(100_000 + r.IntN(2_000_000)))
		if gap := now.Sub(last[f]); gap < w.gap {
			now = last[f].Add(w.gap)
		}
		last[f] = now
		label, left := r.IntN(w.labels), 1+r.IntN(20_000)
		fmt.Fprintf(truthFile, `{"timestamp":"%s","event_type":"pacgan","flow_id":%d,"uuid":"018f1e2d-3c4b-7a69-8877-%012x",%s,"pacgan":{"label":"l%d","malicious":%t,"source":"model","model":"20261125T083830Z-78428678","model_hash":"78428678e1c2b3a4958677a8b9c0d1e2f30415263748596a7b8c9d0e1f203142","seed":17,"index":%d,"verdict":"answered","reason":"","rtt_ns":135000,"bytes":75,"left_ns":%d,"span_ns":%d}}`+"\n",
			now.Format("2006-01-02T15:04:05.000000000-0700"), r.Int64N(1<<50), i, f.ends(false), label, label%2 == 1, i, left, w.span()-left)
		fmt.Fprintf(eveFile, `{"timestamp":"%s","flow_id":1,"event_type":"flow",%s}`+"\n", now.Add(w.offset).Format(eveTime), f.ends(false))
		if r.Float64() < w.alerted {
			name := fmt.Sprintf("l%d", label)
			arrived := now.Add(time.Duration(20_000 + r.IntN(400_000)))
			m.flows[name]++
			reversed := r.IntN(3) == 0
			for range 1 + r.IntN(2) {
				at := arrived.Add(time.Duration(r.IntN(int(w.gap) / 2)))
				if f.proto == "TCP" && r.IntN(10) == 0 {
					at = arrived.Add(3 * w.gap) // of the end of the conversation, when its ports may be in use again
				}
				alert(at, arrived, f, label, reversed)
				reversed = !reversed // a signature fires on a packet once
				m.alerts[name]++
			}
		}
		if r.IntN(w.flows) < w.foreign {
			foreign()
		}
	}
	for _, f := range []*bufio.Writer{truthFile, eveFile} {
		if err := f.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	return m
}

func mustCreate(tb testing.TB, path string) *bufio.Writer {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return bufio.NewWriterSize(f, 1<<20)
}
