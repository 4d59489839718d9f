package privacy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/packet"
)

// mustFrame is a frame of a client in 10.0.0.0/24, all lengths right.
func mustFrame(tb testing.TB, client byte, above ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, SrcIP: net.IPv4(10, 0, 0, client), DstIP: net.IPv4(10, 0, 1, 1)}
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	switch l := above[0].(type) {
	case *layers.TCP:
		ip.Protocol = layers.IPProtocolTCP
		l.SetNetworkLayerForChecksum(ip)
	case *layers.UDP:
		ip.Protocol = layers.IPProtocolUDP
		l.SetNetworkLayerForChecksum(ip)
	}
	buf := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{eth, ip}, above...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func mustRequest(tb testing.TB, client byte, text string) []byte {
	tb.Helper()
	return mustFrame(tb, client, &layers.TCP{SrcPort: 40000, DstPort: 80, ACK: true, PSH: true, Window: 500}, gopacket.Payload(text))
}

func mustQuery(tb testing.TB, client byte, name string) []byte {
	tb.Helper()
	return mustFrame(tb, client, &layers.UDP{SrcPort: 40000, DstPort: 53},
		&layers.DNS{ID: 7, RD: true, QDCount: 1, Questions: []layers.DNSQuestion{{Name: []byte(name), Type: 1, Class: 1}}})
}

func ipOf(frame []byte) []byte { return frame[packet.EthernetHeaderLen:] }

func TestSecretsIn(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          []string
	}{
		{"nothing", "GET /index.html HTTP/1.1\r\nHost: www.lab.test\r\nUser-Agent: curl/8.5.0\r\n\r\n", []string{"name www.lab.test"}},
		{"credentials", "GET / HTTP/1.1\r\nauthorization: Basic dXNlcjpwYXNz\r\n\r\n", []string{"authorization Basic dXNlcjpwYXNz"}},
		{"cookies", "GET / HTTP/1.1\r\nCookie: a=1; session=abcdef; theme=dark12\r\n\r\n", []string{"cookie abcdef", "cookie dark12"}},
		{"a cookie set", "HTTP/1.1 200 OK\r\nSet-Cookie: id=secret99; Path=/\r\n\r\n", []string{"cookie secret99"}},
		{"an address", "to=jane.doe@mail.example.org&x=1", []string{"email jane.doe@mail.example.org"}},
		{"a token", "GET /?key=9f8A7d6C5b4E3a2G1h HTTP/1.1\r\n\r\n", []string{"token 9f8A7d6C5b4E3a2G1h"}},
		{"long words that are none", "/aaaaaaaaaaaaaaaaaaaaaa1 /internationalization /1234567890123456789", nil},
		{"the end of a cookie", "GET / HTTP/1.1\r\nCookie: session=abcd", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range secretsIn([]byte(tt.payload), false) {
				got = append(got, string(s.kind)+" "+tt.payload[s.from:s.to])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("secrets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScrub(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: www.lab.test\r\nCookie: session=S3cretValue77\r\nAuthorization: Bearer 9f8A7d6C5b4E3a2G1h\r\n\r\n"
	secret := mustRequest(t, 5, request)
	query := mustQuery(t, 5, "www.lab.test")
	for _, mode := range []Mode{Keep, Truncate, Hash} {
		s, err := NewScrubber(mode)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(secret)
		got := bytes.Clone(s.Scrub(secret))
		if !bytes.Equal(before, secret) {
			t.Fatalf("%s: the captured frame is changed", mode)
		}
		p, err := packet.ParseIP(ipOf(got))
		if err != nil {
			t.Fatalf("%s: no whole packet is left: %v", mode, err)
		}
		text := string(p.L4Data())
		switch mode {
		case Keep:
			if text != request {
				t.Errorf("%s: %q", mode, text)
			}
		case Truncate:
			if text != "" || len(got) != packet.EthernetHeaderLen+40 {
				t.Errorf("%s: %d bytes, %q", mode, len(got), text)
			}
		case Hash:
			if strings.Contains(text, "S3cret") || strings.Contains(text, "9f8A7d6C") || len(text) != len(request) ||
				!strings.HasPrefix(text, "GET / HTTP/1.1\r\nHost: www.lab.test\r\nCookie: session=") {
				t.Errorf("%s: %q", mode, text)
			}
			again := string(packet.IP(ipOf(s.Scrub(secret))).L4Data())
			if again != text {
				t.Errorf("%s: the same secret becomes %q and %q", mode, text, again)
			}
			other, err := NewScrubber(Hash)
			if err != nil {
				t.Fatal(err)
			}
			if string(packet.IP(ipOf(other.Scrub(secret))).L4Data()) == text {
				t.Errorf("%s: another process has the same key", mode)
			}
			if got := s.Scrub(query); !bytes.Equal(got, query) {
				t.Errorf("%s: a question is changed: %x", mode, got)
			}
		}
		sums := packet.Checksums(ipOf(got))
		if err := packet.RepairChecksums(ipOf(got)); err != nil || packet.Checksums(ipOf(got)) != sums {
			t.Errorf("%s: checksums are not right (%v)", mode, err)
		}
	}
}

// TestScrubOfWhatIsNoPacket leaves nothing of it.
func TestScrubOfWhatIsNoPacket(t *testing.T) {
	for _, mode := range []Mode{Truncate, Hash} {
		s, err := NewScrubber(mode)
		if err != nil {
			t.Fatal(err)
		}
		whole := mustRequest(t, 5, "Cookie: session=S3cretValue77")
		for name, frame := range map[string][]byte{"cut": whole[:len(whole)-3], "no IP": append(make([]byte, 14), "S3cretValue77"...), "short": whole[:9]} {
			got := s.Scrub(frame)
			if bytes.Contains(got, []byte("S3cret")) || len(got) != len(frame) {
				t.Errorf("%s, %s: %q", mode, name, got)
			}
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add(mustRequest(f, 1, "GET / HTTP/1.1\r\nCookie: session=S3cretValue77\r\n\r\n"))
	f.Add(mustQuery(f, 1, "www.lab.test"))
	f.Add([]byte{})
	truncate, err := NewScrubber(Truncate)
	if err != nil {
		f.Fatal(err)
	}
	hash, err := NewScrubber(Hash)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		defer bounded.Input(t, len(frame))()
		before := bytes.Clone(frame)
		if got := hash.Scrub(frame); len(got) != len(frame) {
			t.Errorf("%d bytes become %d", len(frame), len(got))
		}
		got := truncate.Scrub(frame)
		if len(got) > len(frame) {
			t.Errorf("%d bytes become %d", len(frame), len(got))
		}
		if ip, err := packet.IPOf(got); err == nil {
			if p, err := packet.ParseIP(ip); err == nil && p.FragmentOffset() == 0 && len(p.L4Data()) > 0 {
				t.Errorf("truncated, %d bytes are left of the payload", len(p.L4Data()))
			}
		}
		if !bytes.Equal(before, frame) {
			t.Error("the captured frame is changed")
		}
	})
}

// sessions are requests of four clients, each with a cookie of its own.
func sessions(tb testing.TB, n int, seed uint64) [][]byte {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([][]byte, n)
	for i := range out {
		out[i] = ipOf(mustRequest(tb, byte(i%4), fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: www.lab.test\r\nCookie: session=%016x\r\n\r\n", i%7, rng.Uint64())))
	}
	return out
}

// TestMeasure: a generator that repeats what it has seen is told from one that
// has learned the form alone.
func TestMeasure(t *testing.T) {
	train, heldOut, fresh := sessions(t, 400, 1), sessions(t, 300, 2), sessions(t, 500, 3)
	for _, tt := range []struct {
		name      string
		generated [][]byte
		memorised float64
		attacked  bool
	}{
		{"parrot", train[:200], 1, true},
		{"half a parrot", append(append([][]byte{}, train[:100]...), fresh[:100]...), 0.5, true},
		{"learned", fresh, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Measure(t.Context(), tt.generated, train, heldOut, 7)
			if err != nil {
				t.Fatal(err)
			}
			if r.Memorised != tt.memorised || r.MemorisedReal != 0 {
				t.Errorf("memorised %v, real %v, want %v and 0", r.Memorised, r.MemorisedReal, tt.memorised)
			}
			if attacked := r.Membership > 0.5+3*r.MembershipError; attacked != tt.attacked {
				t.Errorf("membership %.3f +- %.3f", r.Membership, r.MembershipError)
			}
			if nearer := r.Nearer > 0.6; nearer != tt.attacked {
				t.Errorf("nearer %.3f", r.Nearer)
			}
			if k := r.Kinds[KindCookie]; k.Secrets != 400 || k.Packets != r.N.Memorised || r.N.Clients != 4 || r.N.PerClass != 300 {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestNamesOfOneClient: a name that several clients ask for is nobody's own.
func TestNamesOfOneClient(t *testing.T) {
	train := [][]byte{
		ipOf(mustQuery(t, 1, "public.lab.test")), ipOf(mustQuery(t, 2, "public.lab.test")), ipOf(mustQuery(t, 1, "clinic.lab.test")),
	}
	generated := [][]byte{
		ipOf(mustQuery(t, 3, "PUBLIC.lab.test")), ipOf(mustQuery(t, 3, "Clinic.Lab.Test")), ipOf(mustQuery(t, 3, "other.lab.test")), {1, 2, 3},
	}
	r, err := Measure(t.Context(), generated, train, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Kind]KindReport{KindName: {Secrets: 1, Repeated: 1, Packets: 1}}
	if diff := cmp.Diff(want, r.Kinds); diff != "" || r.Memorised != 0.25 {
		t.Errorf("memorised %v (-want +got):\n%s", r.Memorised, diff)
	}
	alone, err := Measure(t.Context(), generated, train[2:], nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(alone.Kinds) != 0 || alone.N.Clients != 1 {
		t.Errorf("of one client: %+v", alone)
	}
}
