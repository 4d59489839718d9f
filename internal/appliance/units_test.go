package appliance

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/encoding"
	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/train"
)

// mustModel fits trees to a few packets for each label.
func mustModel(t *testing.T, labels ...string) *model.Model {
	t.Helper()
	m := &model.Model{Recipe: model.RecipeTree, Labels: labels, Geometry: encoding.Paper()}
	for i := range labels {
		forest, err := train.FitTrees(t.Context(), [][]byte{{byte(i), 1}, {byte(i), 2}}, 1)
		must(t, err)
		m.Forests = append(m.Forests, *forest)
	}
	return m
}

func TestSourceMixesByShare(t *testing.T) {
	s, err := newModelSource(mustModel(t, "a", "b"), []string{"b", "a"}, newShareOrder([]float64{3, 1}), 300, 1)
	must(t, err)
	var first [2]int // labels of the first 100 packets
	for n := 0; ; n++ {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if want := byte(1 - p.Label); p.IP[0] != want { // the config's order is not the model's
			t.Fatalf("packet of label %d begins with %d, want %d", p.Label, p.IP[0], want)
		}
		if n < 100 {
			first[p.Label]++
		}
	}
	if diff := cmp.Diff([2]int{75, 25}, first); diff != "" {
		t.Errorf("labels of the first 100 packets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{300, 300}, []int{len(s.kept[0]), len(s.kept[1])}); diff != "" {
		t.Errorf("packets kept (-want +got):\n%s", diff)
	}
}

func TestEndlessSourceKeepsNothing(t *testing.T) {
	s, err := newModelSource(mustModel(t, "a"), []string{"a"}, newShareOrder([]float64{1}), endless, 1)
	must(t, err)
	for range 1000 {
		_, err := s.Next()
		must(t, err)
	}
	if s.kept != nil {
		t.Errorf("%d packets kept: memory without bound", len(s.kept))
	}
}

func TestSourceOfUnknownLabel(t *testing.T) {
	_, err := newModelSource(mustModel(t, "a"), []string{"b"}, newShareOrder([]float64{1}), 1, 1)
	if err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("error %v does not name the label", err)
	}
}

func TestIdentity(t *testing.T) {
	good := labelCounts{name: "dns", Counts: Counts{
		Generated: 36, Malformed: 1, Blocked: 2, Failed: 3, Answered: 4,
		Rejected: map[string]uint64{"rst": 5, "nxdomain": 6}, Expired: 7, Inflight: 8, Unasked: 0,
	}}
	must(t, checkIdentity([]labelCounts{good}))
	if got, want := good.success().Decided, uint64(28); got != want {
		t.Errorf("success is a share of %d packets, want %d", got, want)
	}
	bad := good
	bad.Answered++
	err := checkIdentity([]labelCounts{bad})
	if err == nil || !strings.HasPrefix(err.Error(), `label "dns": 36 packets generated and 37 accounted for`) {
		t.Errorf("error %v", err)
	}
	all := totalOf([]labelCounts{good, good})
	if all.Generated != 72 || all.rejectedTotal() != 22 || all.accounted() != 72 {
		t.Errorf("the sum of two labels: %+v", all)
	}
	if good.Rejected["rst"] != 5 {
		t.Error("summing changed a label's own counts")
	}
}

func TestReasons(t *testing.T) {
	got := reasons(map[string]uint64{"rst": 2, "nxdomain": 1234, "http 404": 2, "never": 0})
	if diff := cmp.Diff("1,234 nxdomain, 2 http 404, 2 rst", got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestKept(t *testing.T) {
	got := []string{kept("tree", 0), kept("paper", 9), kept("gan", 0), kept("gan", 45)}
	want := []string{
		"the trees are all of the model",
		"the model of step 9 is kept",
		"validation chose step 0: adversarial training found nothing better than the digit trees",
		"validation chose step 45",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestThousands(t *testing.T) {
	for give, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(give); got != want {
			t.Errorf("thousands(%d) = %s, want %s", give, got, want)
		}
	}
}

// TestPhaseWithoutTerminal says little and often enough where nobody watches.
func TestPhaseWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	p := &Program{Stderr: &out}
	ph := p.startPhase("capture dns", 2000)
	ph.set(1, "")
	ph.said = time.Now().Add(-plainInterval)
	ph.start = time.Now().Add(-10 * time.Second)
	ph.set(1000, "fine")
	ph.resize(4000)
	ph.end("done")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{"capture dns: 1,000 of 2,000, 10s left, fine", "capture dns: done in 10s"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestWriteJSONAppearsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	must(t, writeJSON(path, map[string]int{"a": 1}))
	got, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff("{\n  \"a\": 1\n}\n", string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	left, err := filepath.Glob(path + ".*")
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestIPPacketsAreCopies(t *testing.T) {
	frame := append(generatedHeader([]byte{0x45}), 0x45, 0, 0, 20, 0, 1, 0, 0, 64, 253, 0xab, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2)
	arp := append(make([]byte, 12), 8, 6)
	packets, out := ipPackets([]packet.Packet{{Frame: frame}, {Frame: arp}})
	if len(packets) != 1 || out != (leftOut{notIP: 1}) {
		t.Fatalf("%d packets, left out %v, want 1 and 1 that is not IP", len(packets), &out)
	}
	if packets[0][10] != 0 || frame[24] != 0xab {
		t.Error("checksums must be zeroed in the copy and stay in the frame")
	}
}

func TestRoom(t *testing.T) {
	tests := []struct {
		rate    float64
		timeout time.Duration
		want    int
	}{
		{1, 2 * time.Second, leastRoom},
		{1000, 2 * time.Second, 1 << 14}, // 4,000 are needed: four times that
		{2000, 2 * time.Second, 1 << 15},
		{100_000, time.Second, 1 << 18}, // no spare room above what is needed
		{500_000, time.Second, 1 << 20},
		{1e7, time.Minute, mostRoom},
	}
	for _, tt := range tests {
		var cfg config.Config
		cfg.Safety.MaxRate, cfg.Inject.Timeout = tt.rate, tt.timeout
		if got := roomFor(cfg); got != tt.want || got < roomNeeded(cfg) {
			t.Errorf("%g/s for %v: room for %d, want %d of %d needed", tt.rate, tt.timeout, got, tt.want, roomNeeded(cfg))
		}
	}
}
