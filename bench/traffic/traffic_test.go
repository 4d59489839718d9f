package traffic

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var labels = []string{"ping", "dns", "http"}

// TestOwnPacketsAreAnswered: what a network's clients send is what its servers answer, under no other label.
func TestOwnPacketsAreAnswered(t *testing.T) {
	for _, set := range Sets() {
		for _, label := range labels {
			w := mustNew(t, set, 1)
			for _, p := range mustPackets(t, w, label, 500) {
				for _, as := range labels {
					if got := w.Answers(as, p); got != (as == label) {
						t.Fatalf("set %s: packet of %s as %s: answered %t: %q", set, label, as, got, p)
					}
				}
			}
		}
	}
}

// TestDamagedPacketsAreNotAnswered changes one thing of a packet that is answered.
func TestDamagedPacketsAreNotAnswered(t *testing.T) {
	for _, tt := range []struct {
		name, label string
		damage      func(p []byte) []byte
	}{
		{"empty", "ping", func([]byte) []byte { return nil }},
		{"cut short", "ping", func(p []byte) []byte { return p[:len(p)-1] }},
		{"a byte more", "dns", func(p []byte) []byte { return append(p, 0) }},
		{"another client", "ping", set(15, 250)},
		{"another server", "ping", set(19, 250)},
		{"no hops left", "ping", set(8, 0)},
		{"a fragment", "ping", set(7, 1)},
		{"an echo reply", "ping", set(20, 0)},
		{"another port", "dns", set(23, 54)},
		{"another length in UDP", "dns", set(25, 9)},
		{"another resolver", "dns", set(19, 250)},
		{"a response", "dns", set(30, 0x81)},
		{"another name", "dns", set(41, '#')},
		{"another type", "dns", replace("\x00\x01\x00\x01\x00\x00\x29", "\x00\x02\x00\x01\x00\x00\x29")},
		{"bytes behind the query", "dns", lengthen("\x00")},
		{"another host", "http", replace("Host: ", "Host: x")},
		{"another path", "http", replace("GET /", "GET /?")},
		{"another method", "http", replace("GET /", "PUT /")},
		{"a header that does not end", "http", replace("\r\n\r\n", "\r\n\r")},
		{"two requests", "http", lengthen("GET / HTTP/1.1\r\n\r\n")},
		{"a host at another address", "http", set(19, 250)},
		{"a SYN", "http", set(33, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mustNew(t, "tools", 1)
			p := mustPackets(t, w, tt.label, 1)[0]
			damaged := tt.damage(bytes.Clone(p))
			if bytes.Equal(p, damaged) {
				t.Fatal("nothing is damaged")
			}
			if w.Answers(tt.label, damaged) {
				t.Errorf("is answered: %q", damaged)
			}
		})
	}
}

// set returns a change of one byte.
func set(at int, value byte) func(p []byte) []byte {
	return func(p []byte) []byte { p[at] = value; return p }
}

// replace returns a change of a text whose IP total length follows.
func replace(old, text string) func(p []byte) []byte {
	return func(p []byte) []byte { return framed(bytes.Replace(p, []byte(old), []byte(text), 1)) }
}

// lengthen returns an addition at the end, framed.
func lengthen(text string) func(p []byte) []byte {
	return func(p []byte) []byte { return framed(append(p, text...)) }
}

// framed sets the lengths of IP and UDP to what they are.
func framed(p []byte) []byte {
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	if p[9] == 17 {
		binary.BigEndian.PutUint16(p[24:], uint16(len(p)-20))
	}
	return p
}

func TestSeeds(t *testing.T) {
	for _, set := range Sets() {
		want := mustPackets(t, mustNew(t, set, 1), "http", 20)
		if diff := cmp.Diff(want, mustPackets(t, mustNew(t, set, 1), "http", 20)); diff != "" {
			t.Errorf("set %s: the same seed (-want +got):\n%s", set, diff)
		}
		if cmp.Equal(want, mustPackets(t, mustNew(t, set, 2), "http", 20)) {
			t.Errorf("set %s: two seeds give the same packets", set)
		}
	}
}

func TestLongPacketsAreLong(t *testing.T) {
	w := mustNew(t, "long", 1)
	for _, label := range []string{"ping", "http"} {
		for _, p := range mustPackets(t, w, label, 500) {
			if len(p) < 400 || len(p) > 1400 {
				t.Fatalf("%s of %d bytes", label, len(p))
			}
		}
	}
}

func TestErrors(t *testing.T) {
	_, set := New("wide", 1)
	_, label := mustNew(t, "tools", 1).Packets("ntp", 1)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{set, `set "wide": must be one of ["tools" "shifting" "long"]`},
		{label, `no packets of label "ntp": must be ping, dns or http`},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("error %v, want %q", tt.err, tt.want)
		}
	}
}

func mustNew(t *testing.T, set string, seed uint64) *World {
	t.Helper()
	w, err := New(set, seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustPackets(t *testing.T, w *World, label string, count int) [][]byte {
	t.Helper()
	packets, err := w.Packets(label, count)
	if err != nil {
		t.Fatal(err)
	}
	return packets
}
