package appliance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/train"
	"pacgan-appliance/internal/truth"
)

// TestRegenerate injects, and makes some of the packets again from their
// records: each is byte for byte the one beside its record. All that a record
// says was sent is on the wire, as tcpdump has it.
func TestRegenerate(t *testing.T) {
	withoutRace(t)
	r := mustRig(t, lab.Embedded, 100)
	tape := filepath.Join(t.TempDir(), "wan0.pcap")
	must(t, lab.Tape(t.Context(), lab.GatewayWAN, tape, func() error { r.inject(t, 100, nil); return nil }))
	files, err := filepath.Glob(filepath.Join(r.truth, "*.pcapng"))
	must(t, err)
	var packets [][]byte
	for _, name := range files {
		packets = append(packets, mustPcapng(t, name)...)
	}
	mustBeOnTheWire(t, r.truth, packets, tape)
	again := map[string]int{} // by label
	n := 0
	for rec, err := range truth.Read(r.truth) {
		must(t, err)
		if i := rec.Pacgan.Index; i == 0 || i == 42 || i == 99 {
			out := filepath.Join(t.TempDir(), "again.pcapng")
			o := generateOptions{uuid: rec.UUID.String(), truth: r.truth, model: r.labRun.model, out: out}
			must(t, r.p.generate(t.Context(), o))
			if got := mustPcapng(t, out); len(got) != 1 || !bytes.Equal(got[0], packets[n]) {
				t.Errorf("%s %d: %x, injected was %x", rec.Pacgan.Label, i, got, packets[n])
			}
			again[rec.Pacgan.Label]++
		}
		n++
	}
	for _, label := range labelNames(r.cfg) {
		if again[label] != 3 {
			t.Errorf("%d packets of %s made again, want 3", again[label], label)
		}
	}
	r.refusals(t)
}

// TestRegenerateText makes packets again whose text is drawn letter by letter: each is the one that a
// sampler of the model drew before it was saved.
func TestRegenerateText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var set train.Set
	set.Label = "log"
	for range 300 {
		line := "<13>host:"
		for range 2 + rng.IntN(5) {
			line += fmt.Sprintf(" %s=%d", []string{"jobs", "idle", "load", "users"}[rng.IntN(4)], rng.IntN(9999))
		}
		ip := append(make([]byte, 28), line...)
		ip[0], ip[3], ip[9], ip[25] = 0x45, byte(len(ip)), packet.ProtoUDP, byte(len(ip)-20)
		binary.BigEndian.PutUint16(ip[20:], 1024+uint16(rng.IntN(40000)))
		set.Packets = append(set.Packets, ip)
	}
	result, err := train.Train(t.Context(), train.Data{set}, train.Options{Recipe: model.RecipeTree, Seed: 1})
	must(t, err)
	isChain := func(s model.Slot) bool { return s.Kind == model.SlotChain }
	if !slices.ContainsFunc(result.Model.Forests[0].Slots, isChain) {
		t.Fatal("no text is drawn letter by letter")
	}
	state, log := t.TempDir(), t.TempDir()
	id, err := model.Save(filepath.Join(state, modelsDir), result.Model, model.Manifest{})
	must(t, err)
	dir := filepath.Join(state, modelsDir, id)
	_, manifest, err := model.Load(dir)
	must(t, err)
	sampler, err := result.Model.NewSampler("log", 5)
	must(t, err)
	w, err := truth.Open(log, truth.Options{})
	must(t, err)
	var want [][]byte
	for i := range uint64(20) {
		ip, err := sampler.Next(nil)
		must(t, err)
		must(t, packet.RepairChecksums(ip))
		want = append(want, ip)
		rec := truth.Record{UUID: truth.UUID{0: 1, 15: byte(i)}, Pacgan: truth.Pacgan{
			Label: "log", Source: truth.SourceModel, Model: id, ModelHash: manifest.GeneratorSHA256, Seed: 5, Index: i,
		}}
		must(t, w.Append(&rec, ip))
	}
	must(t, w.Close())
	p := &Program{Stdout: io.Discard, Stderr: io.Discard}
	for i, ip := range want {
		out := filepath.Join(t.TempDir(), "again.pcapng")
		uuid := truth.UUID{0: 1, 15: byte(i)}
		must(t, p.generate(t.Context(), generateOptions{uuid: uuid.String(), truth: log, model: dir, out: out}))
		if got := mustPcapng(t, out); len(got) != 1 || !bytes.Equal(got[0], ip) {
			t.Errorf("%d: %q, want %q", i, got, ip)
		}
	}
}

// mustBeOnTheWire looks for the packets of records: whole on the wire, but a TCP
// segment's request between the same ports.
func mustBeOnTheWire(t *testing.T, dir string, packets [][]byte, tape string) {
	t.Helper()
	frames, _, err := dataset.ReadFile(tape, "wire")
	must(t, err)
	seen := map[string]int{}
	for _, f := range frames {
		ip, err := packet.IPOf(f.Frame)
		must(t, err)
		seen[onTheWire(t, ip)]++
	}
	sent, n := 0, 0
	for rec, err := range truth.Read(dir) {
		must(t, err)
		if rec.Pacgan.Verdict.Sent() {
			sent++
			key := onTheWire(t, packets[n])
			if seen[key]--; seen[key] < 0 {
				t.Errorf("record %s of %s: its packet is not on the wire", rec.UUID, rec.Pacgan.Label)
			}
		}
		n++
	}
	if sent < 250 {
		t.Errorf("%d packets sent of %d", sent, n)
	}
}

// onTheWire is what a packet keeps on its way, as the key of a map.
func onTheWire(t *testing.T, ip []byte) string {
	t.Helper()
	p, err := packet.ParseIP(ip)
	must(t, err)
	if p.Protocol() != packet.ProtoTCP {
		return string(ip)
	}
	return fmt.Sprint(packet.FlowOf(p)) + string(p.L4Data())
}

// refusals are what generate --uuid says where it cannot.
func (r *rig) refusals(t *testing.T) {
	t.Helper()
	var first, captured truth.Record
	for rec, err := range truth.Read(r.truth) {
		must(t, err)
		first = *rec
		break
	}
	dir := t.TempDir()
	log, err := truth.Open(dir, truth.Options{})
	must(t, err)
	captured = first
	captured.Pacgan.Source = truth.SourceCapture
	must(t, log.Append(&captured, nil))
	other := first
	other.UUID[15], other.Pacgan.ModelHash = 77, "another"
	must(t, log.Append(&other, nil))
	must(t, log.Close())
	const unknown = "018f1e2d-3c4b-7a69-8877-665544332211"
	for _, tt := range []struct {
		name string
		o    generateOptions
		want string
	}{
		{"no uuid", generateOptions{uuid: "7", truth: r.truth}, `generate: --uuid: uuid "7": must look like ` + unknown},
		{"another's uuid", generateOptions{uuid: unknown, truth: r.truth}, unknown + ": no record has this uuid: old ones go first where truth.max_bytes is reached"},
		{"captured", generateOptions{uuid: captured.UUID.String(), truth: dir}, "is a captured packet, which no model makes again: it is in the .pcapng beside its record"},
		{"another model", generateOptions{uuid: other.UUID.String(), truth: dir, model: r.labRun.model},
			"is not the model of " + other.UUID.String() + ", which was " + first.Pacgan.Model + ": name that with --model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.out = filepath.Join(t.TempDir(), "x.pcapng")
			if err := r.p.generate(context.Background(), tt.o); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("error %v, want ...%s", err, tt.want)
			}
		})
	}
}
