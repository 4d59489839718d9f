package dataset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/labtest"
	"pacgan-appliance/internal/packet"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// testPacket is packet i of a label, n bytes long, i milliseconds and nanoseconds into 2024.
func testPacket(label string, i, n int) packet.Packet {
	frame := bytes.Repeat([]byte{byte(i)}, max(n, 18))
	binary.BigEndian.PutUint32(frame[14:], uint32(i))
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * (time.Millisecond + 1))
	return packet.Packet{Label: label, Time: at, Frame: frame}
}

func testPackets(label string, from, to, n int) []packet.Packet {
	var out []packet.Packet
	for i := from; i < to; i++ {
		out = append(out, testPacket(label, i, n))
	}
	return out
}

func mustOpen(tb testing.TB, o Options) *Store {
	tb.Helper()
	if o.MaxBytes == 0 {
		o.MaxBytes = MinMaxBytes
	}
	s, err := Open(o)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return s
}

func mustAppend(tb testing.TB, s *Store, packets []packet.Packet) {
	tb.Helper()
	for _, p := range packets {
		if err := s.Append(p); err != nil {
			tb.Fatalf("Append: %v", err)
		}
	}
}

func mustRead(tb testing.TB, s *Store, label string, newest int) []packet.Packet {
	tb.Helper()
	packets, err := s.Read(label, newest)
	if err != nil {
		tb.Fatalf("Read: %v", err)
	}
	return packets
}

func mustClose(tb testing.TB, s *Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

// samePackets compares instants, not their locations.
func samePackets() cmp.Option {
	return cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
}

func TestReadBack(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Labels: []string{"dns", "ping"}, MaxBytes: MinMaxBytes, FileBytes: 5000}
	s := mustOpen(t, o)
	dns, ping := testPackets("dns", 0, 300, 80), testPackets("ping", 300, 310, 98)
	mustAppend(t, s, dns[:100])
	mustAppend(t, s, ping)
	mustAppend(t, s, dns[100:250])
	check := func(s *Store, label string, newest int, want []packet.Packet) {
		t.Helper()
		if diff := cmp.Diff(want, mustRead(t, s, label, newest), samePackets()); diff != "" {
			t.Errorf("Read(%s, %d) (-want +got):\n%s", label, newest, diff)
		}
	}
	check(s, "dns", 0, dns[:250])
	check(s, "dns", 3, dns[247:250])
	check(s, "ping", 1000, ping)
	mustClose(t, s)

	s = mustOpen(t, o)
	mustAppend(t, s, dns[250:])
	for _, newest := range []int{0, 1, 49, 50, 51, 52, 53, 150, 299, 300, 301} {
		want := dns
		if newest > 0 {
			want = dns[max(0, 300-newest):]
		}
		check(s, "dns", newest, want)
	}
	if s.Count("dns") != 300 || s.Count("ping") != 10 || s.Count("none") != 0 {
		t.Errorf("counts %d, %d, %d", s.Count("dns"), s.Count("ping"), s.Count("none"))
	}
	if diff := cmp.Diff([]string{"dns", "ping"}, s.Labels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if names := mustNames(t, filepath.Join(dir, "dns")); len(names) != 6 || names[0] != "0001.pcap" {
		t.Errorf("files of dns: %v", names)
	}
	if size := mustSize(t, dir); size != s.Stats().Bytes {
		t.Errorf("%d bytes on disk, stats say %d", size, s.Stats().Bytes)
	}
}

func mustNames(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mustSize(tb testing.TB, dir string) int64 {
	tb.Helper()
	var sum int64
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.pcap"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			tb.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// TestTornTail cuts a file at every byte of its end, as a crash may.
func TestTornTail(t *testing.T) {
	packets := testPackets("dns", 0, 4, 60)
	const record = recordHeaderBytes + 60
	whole := mustFile(t, packets[:3])
	for cut := range len(whole) + 1 {
		dir := t.TempDir()
		path := filepath.Join(dir, "dns", "0001.pcap")
		mustWrite(t, path, whole[:cut])
		s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
		left := max(0, cut-fileHeaderBytes) / record
		torn := (cut - fileHeaderBytes) - left*record
		if cut < fileHeaderBytes {
			torn = cut
		}
		got := s.Stats()
		want := Stats{TornBytes: int64(torn), Bytes: int64(fileHeaderBytes + left*record)}
		if torn > 0 {
			want.Torn = 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("cut at %d: stats (-want +got):\n%s", cut, diff)
		}
		mustAppend(t, s, packets[3:])
		mustClose(t, s)
		s = mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
		wantPackets := append(append([]packet.Packet{}, packets[:left]...), packets[3])
		if diff := cmp.Diff(wantPackets, mustRead(t, s, "dns", 0), samePackets()); diff != "" {
			t.Fatalf("cut at %d: packets (-want +got):\n%s", cut, diff)
		}
		mustClose(t, s)
	}
}

// mustFile is what a store writes for packets.
func mustFile(tb testing.TB, packets []packet.Packet) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s := mustOpen(tb, Options{Dir: dir, Labels: []string{packets[0].Label}})
	mustAppend(tb, s, packets)
	mustClose(tb, s)
	data, err := os.ReadFile(filepath.Join(dir, packets[0].Label, "0001.pcap"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func mustWrite(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// TestGarbageTail: a machine that lost power may leave zeros or noise behind.
func TestGarbageTail(t *testing.T) {
	packets := testPackets("dns", 0, 3, 60)
	whole := mustFile(t, packets)
	for name, tail := range map[string][]byte{
		"zeros": make([]byte, 4096),
		"ones":  bytes.Repeat([]byte{0xff}, 1000),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "dns", "0007.pcap"), append(bytes.Clone(whole), tail...))
			s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
			if diff := cmp.Diff(packets, mustRead(t, s, "dns", 0), samePackets()); diff != "" {
				t.Errorf("packets (-want +got):\n%s", diff)
			}
			if got := s.Stats(); got.Torn != 1 || got.TornBytes != int64(len(tail)) {
				t.Errorf("stats %+v", got)
			}
		})
	}
}

// TestFullDisk fills a small file system: what was stored stays, one error
// says so, and the store goes on when there is room.
func TestFullDisk(t *testing.T) {
	labtest.RequireRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := mustOpen(t, Options{Dir: filepath.Join(dir, "data"), Labels: []string{"dns"}})
	var errs []error
	const offered = 1000
	for i := range offered {
		if err := s.Append(testPacket("dns", i, 1000)); err != nil {
			errs = append(errs, err)
		}
	}
	names := mustNames(t, filepath.Join(dir, "data", "dns"))
	path := filepath.Join(dir, "data", "dns", names[len(names)-1])
	want := "dataset " + path + ": no space left on device: the disk takes no packets: packets are dropped until it does; free some, or lower state.max_bytes"
	if len(errs) != 1 || !errors.Is(errs[0], ErrFull) || errs[0].Error() != want {
		t.Errorf("errors %q, want one: %s", errs, want)
	}
	if err := s.Sync(); !errors.Is(err, ErrFull) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Sync on the full disk = %v", err)
	}
	stats := s.Stats()
	if stats.Stored+stats.Dropped != offered || stats.Dropped == 0 {
		t.Errorf("stats %+v", stats)
	}
	for _, name := range names[:2] {
		if err := os.Remove(filepath.Join(dir, "data", "dns", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		t.Errorf("Sync with room: %v", err)
	}
	mustAppend(t, s, testPackets("dns", offered, offered+1, 1000))
	var got, wantNumbers []int
	for _, p := range mustRead(t, s, "dns", 0) {
		got = append(got, int(binary.BigEndian.Uint32(p.Frame[14:])))
	}
	for i := got[0]; i < stats.Stored; i++ {
		wantNumbers = append(wantNumbers, i)
	}
	if diff := cmp.Diff(append(wantNumbers, offered), got); diff != "" || len(got) < 200 {
		t.Errorf("packets after the full disk (-want +got):\n%s", diff)
	}
}

// TestReadOnlyDisk: a directory that becomes read only costs packets, which are
// counted, and what was stored stays; when it takes files again it goes on.
func TestReadOnlyDisk(t *testing.T) {
	labtest.RequireRoot(t)
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
	label := filepath.Join(dir, "dns")
	if err := errors.Join(unix.Mount(label, label, "", unix.MS_BIND, ""), unix.Mount("", label, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")); err != nil {
		t.Fatal(err)
	}
	var errs []error
	const offered = 2000
	for i := range offered {
		if err := s.Append(testPacket("dns", i, 1000)); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || !errors.Is(errs[0], ErrFull) || !strings.Contains(errs[0].Error(), "read-only file system: the disk takes no packets") {
		t.Errorf("errors %q, want one that says that the disk is read only", errs)
	}
	stats := s.Stats()
	if stats.Stored+stats.Dropped != offered || stats.Dropped == 0 {
		t.Errorf("stats %+v", stats)
	}
	if err := unix.Unmount(label, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Errorf("Sync once it is writable: %v", err)
	}
	mustAppend(t, s, testPackets("dns", offered, offered+1, 1000))
	if got := len(mustRead(t, s, "dns", 0)); got != stats.Stored+1 {
		t.Errorf("%d packets are read, %d were stored", got, stats.Stored+1)
	}
}

func TestLockAndReadOnly(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
	_, err := Open(Options{Dir: dir, MaxBytes: MinMaxBytes})
	if want := "dataset " + dir + ": in use by another process: stop it first"; err == nil || err.Error() != want {
		t.Errorf("second Open: %v, want %s", err, want)
	}
	packets := testPackets("dns", 0, 20, 80)
	mustAppend(t, s, packets[:10])
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "dns", "0000.pcap"), mustFile(t, packets[10:])[:100]) // another's unfinished write
	view, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, packets[10:])
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packets[:10], mustRead(t, view, "dns", 0), samePackets()); diff != "" {
		t.Errorf("the view (-want +got):\n%s", diff)
	}
	if size := len(mustNames(t, filepath.Join(dir, "dns"))); size != 2 {
		t.Errorf("%d files: the view changed some", size)
	}
	if err := view.Append(packets[0]); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Append to the view: %v", err)
	}
	mustClose(t, view)
}

// TestErrors pins the texts.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, Labels: []string{"dns"}})
	foreign := t.TempDir()
	mustWrite(t, filepath.Join(foreign, "dns", "0001.pcap"), []byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00"))
	_, errForeign := Open(Options{Dir: foreign, MaxBytes: MinMaxBytes})
	_, errSmall := Open(Options{Dir: dir, MaxBytes: 1000})
	_, errMissing := OpenReadOnly(filepath.Join(dir, "none"))
	_, errLabel := s.Read("none", 0)
	tooEarly := testPacket("dns", 0, 60)
	tooEarly.Time = time.Unix(-1, 0)
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"another's file": {errForeign, "dataset " + foreign + "/dns/0001.pcap: not a file of this dataset (nanosecond pcap, " +
			"little endian, Ethernet): move it away, and give it to train by --label"},
		"too small":      {errSmall, "dataset " + dir + ": room for 1000 bytes: at least 4194304 are needed"},
		"no directory":   {errMissing, "dataset " + dir + "/none: no such file or directory"},
		"unknown label":  {errLabel, `dataset ` + dir + `: no label "none"`},
		"append unknown": {s.Append(testPacket("none", 0, 60)), `store packet: no label "none" in this dataset`},
		"short frame":    {s.Append(packet.Packet{Label: "dns"}), "store packet of dns: frame of 0 bytes: must have 14 to 262144"},
		"time":           {s.Append(tooEarly), "dataset " + dir + "/dns/0001.pcap: time 1969-12-31 23:59:59 +0000 UTC does not fit a pcap file"},
	} {
		if name == "time" {
			tt.err = s.Append(packet.Packet{Label: "dns", Time: time.Unix(-1, 0).UTC(), Frame: tooEarly.Frame})
		}
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", name, tt.err, tt.want)
		}
	}
	mustClose(t, s)
	if err := s.Append(testPacket("dns", 0, 60)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
