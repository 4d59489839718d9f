package train

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// traffic makes packets as clients of a small test network send them, checksums zero, from a seed.
type traffic struct {
	rng       *rand.Rand
	hosts     int // servers
	names     int // DNS names
	paths     int // of each web host
	cookies   bool
	clientIDs map[int]uint16
}

func newTraffic(seed uint64) *traffic {
	return &traffic{rng: rand.New(rand.NewPCG(seed, 1)), hosts: 8, names: 100, paths: 4, clientIDs: map[int]uint16{}}
}

// many returns count packets of one kind.
func many(count int, one func() []byte) [][]byte {
	packets := make([][]byte, count)
	for i := range packets {
		packets[i] = one()
	}
	return packets
}

func (t *traffic) ip(protocol layers.IPProtocol, client, server byte) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: uint16(t.rng.Uint32()), Flags: layers.IPv4DontFragment, Protocol: protocol,
		SrcIP: net.IPv4(10, 77, 1, client), DstIP: net.IPv4(10, 77, 2, server),
	}
}

// ping is an echo request as iputils sends it: 56 bytes of data, 16 of them the time.
func (t *traffic) ping() []byte {
	client, server := t.rng.IntN(4), t.rng.IntN(t.hosts)
	data := make([]byte, 56)
	for i := range data {
		data[i] = byte(i)
	}
	for i := range 4 {
		data[i] = byte(t.rng.IntN(2) * i)
		data[8+i%3] = byte(t.rng.Uint32())
	}
	icmp := &layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0),
		Id:       uint16(t.rng.Uint32()), Seq: uint16(1 + t.rng.IntN(5)),
	}
	return serialize(t.ip(layers.IPProtocolICMPv4, byte(10+client), byte(10+server)), icmp, gopacket.Payload(data))
}

// dns is a query for one of the names, of different lengths, at one of two resolvers.
func (t *traffic) dns() []byte {
	client, resolver, n := t.rng.IntN(4), t.rng.IntN(2), t.rng.IntN(t.names)
	words := []string{"www", "mail", "files", "db", "intranet"}
	query := &layers.DNS{ID: uint16(t.rng.Uint32()), RD: true, QDCount: 1, Questions: []layers.DNSQuestion{{
		Name: fmt.Appendf(nil, "%s%d.example%d.test", words[n%len(words)], n, n%3),
		Type: layers.DNSTypeA, Class: layers.DNSClassIN,
	}}}
	if n%4 == 0 {
		query.Questions[0].Type = layers.DNSTypeAAAA
	}
	if t.cookies {
		cookie := []byte{byte(client), 0x6b, 0x11, byte(client * 7), 0xde, 0xad, byte(resolver), 1}
		query.ARCount = 1
		query.Additionals = []layers.DNSResourceRecord{{
			Type: layers.DNSTypeOPT, Class: 1232, OPT: []layers.DNSOPT{{Code: layers.DNSOptionCodeCookie, Data: cookie}},
		}}
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(32768 + t.rng.IntN(28000)), DstPort: 53}
	return serialize(t.ip(layers.IPProtocolUDP, byte(10+client), byte(2+resolver)), udp, query)
}

// get is a GET of one of the hosts' paths; each host has an address of its own.
func (t *traffic) get() []byte {
	client, host, path := t.rng.IntN(4), t.rng.IntN(24), t.rng.IntN(t.paths)
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(32768 + t.rng.IntN(28000)), DstPort: 80, Seq: t.rng.Uint32(), Ack: t.rng.Uint32(),
		PSH: true, ACK: true, Window: uint16([]int{502, 229}[client%2]),
	}
	paths := []string{"/", "/a", "/index", "/news/1", "/img/logo", "/about-us"}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: h%02d.test\r\n\r\n", paths[path%len(paths)], host)
	return serialize(t.ip(layers.IPProtocolTCP, byte(10+client), byte(100+host)), tcp, gopacket.Payload(request))
}

func serialize(parts ...gopacket.SerializableLayer) []byte {
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, parts...); err != nil {
		panic(err) // a packet above is wrong
	}
	return buffer.Bytes()
}

// lan is about the set that the recipe was measured on: 8,000 packets of three labels.
func lan(seed uint64) map[string][][]byte {
	t := newTraffic(seed)
	return map[string][][]byte{"ping": many(3000, t.ping), "dns": many(3300, t.dns), "http": many(1700, t.get)}
}

func TestTrafficIsFramed(t *testing.T) {
	for label, packets := range lan(1) {
		for _, p := range packets {
			parsed := gopacket.NewPacket(p, layers.LayerTypeIPv4, gopacket.Default)
			if parsed.ErrorLayer() != nil || len(p) > 98 {
				t.Fatalf("%s: %d bytes: %v", label, len(p), parsed.ErrorLayer())
			}
		}
	}
}
