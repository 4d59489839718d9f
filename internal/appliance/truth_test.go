package appliance

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/idslog"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/truth"
)

// truthEnd is what records are counted by.
type truthEnd struct {
	Label   string
	Verdict truth.Verdict
	Reason  string
}

// mustMatchTruth compares the records in dir with the kernel's counts, by
// label, verdict and reason; of malformed packets the counts have no reason.
func mustMatchTruth(t *testing.T, dir string, counts []labelCounts) []truth.Record {
	t.Helper()
	want := map[truthEnd]uint64{}
	for _, c := range counts {
		want[truthEnd{c.name, truth.Malformed, ""}] += c.Malformed
		want[truthEnd{c.name, truth.Blocked, ""}] += c.Blocked
		want[truthEnd{c.name, truth.Answered, ""}] += c.Answered
		want[truthEnd{c.name, truth.Expired, ""}] += c.Expired
		want[truthEnd{c.name, truth.Unasked, ""}] += c.Unasked
		for reason, n := range c.Rejected {
			want[truthEnd{c.name, truth.Rejected, reason}] += n
		}
		for reason, n := range c.FailedReasons {
			want[truthEnd{c.name, truth.Failed, reason}] += n
		}
	}
	maps.DeleteFunc(want, func(_ truthEnd, n uint64) bool { return n == 0 })
	got := map[truthEnd]uint64{}
	var records []truth.Record
	var last time.Time
	for r, err := range truth.Read(dir) {
		must(t, err)
		end := truthEnd{r.Pacgan.Label, r.Pacgan.Verdict, r.Pacgan.Reason}
		if end.Verdict == truth.Malformed || end.Verdict == truth.Blocked {
			end.Reason = ""
		}
		got[end]++
		if r.Timestamp.Before(last) {
			t.Errorf("record %s is before the one before it", r.UUID)
		}
		last = r.Timestamp.Time
		records = append(records, *r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-counts +records):\n%s", diff)
	}
	return records
}

// mustMatchPackets wants the packet beside each record, as gopacket and tshark
// read it, to be the one of the record's index that the source drew of its
// label, with right checksums.
func mustMatchPackets(t *testing.T, dir string, records []truth.Record, drawn map[string][][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	must(t, err)
	var comments []string
	var packets [][]byte
	for _, name := range files {
		out, err := exec.Command("tshark", "-r", name, "-T", "fields", "-e", "frame.comment").Output()
		must(t, err)
		comments = append(comments, strings.Split(strings.TrimSpace(string(out)), "\n")...)
		packets = append(packets, mustPcapng(t, name)...)
	}
	if len(comments) != len(records) || len(packets) != len(records) {
		t.Fatalf("%d comments and %d packets beside %d records", len(comments), len(packets), len(records))
	}
	for i, r := range records {
		if want := "label=" + r.Pacgan.Label + ",uuid=" + r.UUID.String(); comments[i] != want {
			t.Fatalf("packet %d: comment %s, want %s", i, comments[i], want)
		}
		want := slices.Clone(drawn[r.Pacgan.Label][r.Pacgan.Index])
		if err := packet.RepairChecksums(want); err == nil && !bytes.Equal(want, packets[i]) || len(want) != r.Pacgan.Bytes {
			t.Errorf("record %s: packet\n%x, drawn was\n%x", r.UUID, packets[i], want)
		}
	}
}

func mustPcapng(t *testing.T, name string) [][]byte {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	var packets [][]byte
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets
		}
		must(t, err)
		packets = append(packets, data)
	}
}

// TestTruthExport writes what our reader of Zeek's logs takes; a record that
// kill -9 has torn is said and left out.
func TestTruthExport(t *testing.T) {
	dir := t.TempDir()
	log, err := truth.Open(dir, truth.Options{})
	must(t, err)
	at := time.Date(2026, 11, 25, 8, 51, 7, 123456000, time.UTC)
	r := truth.Record{
		Timestamp: truth.Time{Time: at}, SrcIP: netip.MustParseAddr("10.77.1.5"), SrcPort: 40000, DestIP: netip.MustParseAddr("10.77.2.2"), DestPort: 53,
		Proto: "UDP", Pacgan: truth.Pacgan{Label: "dns", Verdict: truth.Answered, RTT: 1000, Bytes: 75},
	}
	must(t, log.Append(&r, nil))
	must(t, log.Close())
	torn := filepath.Join(dir, "00000009-20261125T085107Z.jsonl")
	must(t, os.WriteFile(torn, []byte(`{"timestamp":"20`), 0o600))
	var stdout, stderr strings.Builder
	p := Program{Stdout: &stdout, Stderr: &stderr}
	if code := p.Run(t.Context(), []string{"truth", "export", "--truth", dir}); code != ExitDone {
		t.Errorf("exit code %d", code)
	}
	if want := "truth " + torn + ": line 1: last line is cut off\n1 connections\n"; stderr.String() != want {
		t.Errorf("standard error %q, want %q", stderr.String(), want)
	}
	parser, err := idslog.NewParser(idslog.Zeek, at)
	must(t, err)
	var events []idslog.Event
	for line := range strings.Lines(stdout.String()) {
		var e idslog.Event
		ok, err := parser.Parse([]byte(strings.TrimSuffix(line, "\n")), &e)
		must(t, err)
		if ok {
			events = append(events, e)
		}
	}
	if len(events) != 1 || !events[0].Time.Equal(at) {
		t.Errorf("events %+v", events)
	}
}
