package truth

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"
)

// TestPacketsBesideRecords has tshark and gopacket read what is written: over
// two segments, each with a section of its own.
func TestPacketsBesideRecords(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Packets: true})
	dns, http := mustUDP(t, "10.77.1.5", "10.77.2.2"), mustUDP(t, "2001:db8::1", "2001:db8::2")
	odd := []byte{0x45, 0, 0}
	var want []string
	for i, p := range []struct {
		label string
		ip    []byte
	}{{"dns", dns}, {"http", http}, {"dns", odd}, {"dns", dns}, {"http", http}} {
		r := testRecord(i)
		r.Pacgan.Label = p.label
		if i >= 3 {
			r.Timestamp.Time = r.Timestamp.Add(2 * DefaultMaxAge) // the next segment
		}
		if err := l.Append(&r, p.ip); err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprintf("%d.%09d", r.Timestamp.Unix(), r.Timestamp.Nanosecond())
		want = append(want, fmt.Sprintf("%s|%d|label=%s,uuid=%s|%s", at, len(p.ip), p.label, r.UUID, p.label))
	}
	mustClose(t, l)
	var got []string
	names, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil || len(names) != 2 {
		t.Fatalf("files %q, error %v", names, err)
	}
	for _, name := range names {
		out, err := exec.Command("tshark", "-r", name, "-T", "fields", "-E", "separator=|",
			"-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.comment", "-e", "frame.interface_name").Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		got = append(got, strings.Split(strings.TrimSpace(string(out)), "\n")...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tshark (-want +got):\n%s", diff)
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.NgReaderOptions{SkipUnknownVersion: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]byte{dns, http, odd} {
		data, info, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(data, want) || info.CaptureLength != len(want) {
			t.Errorf("packet %x, %+v, %v; want %x", data, info, err, want)
		}
	}
}
