// Package traffic is packets of small networks that are made up, and the judgement of whether their servers would answer
// a packet: what generators are measured on where no servers run. The lab has real ones.
package traffic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/packet"
)

// World is a network that packets are drawn from: who asks, and what the servers know. Everything follows from rng.
type World struct {
	rng *rand.Rand

	pinged    []net.IP
	padding   [2]int // bytes of a ping's data, from and to
	resolvers []net.IP
	names     []string
	sites     []site
	paths     []string
	headers   string // of a GET, behind Host
	cookie    [2]int // bytes of a GET's random cookie, from and to; 0: none
}

// Sets are the names of the networks.
func Sets() []string { return []string{"tools", "shifting", "long"} }

// New returns the named network; the same seed gives the same packets.
func New(set string, seed uint64) (*World, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	switch set {
	case "tools":
		return tools(rng), nil
	case "shifting":
		return shifting(rng), nil
	case "long":
		return long(rng), nil
	}
	return nil, fmt.Errorf("set %q: must be one of %q", set, Sets())
}

// site is a web host and its address.
type site struct {
	host string
	addr net.IP
}

// tools is the lab's network, as its tools ask with their default options: iputils' ping, dig with EDNS and a
// cookie, curl with TCP timestamps.
func tools(rng *rand.Rand) *World {
	w := &World{rng: rng, padding: [2]int{56, 56}, paths: plan.Paths(), headers: "User-Agent: curl/7.88.1\r\nAccept: */*\r\n"}
	for _, a := range plan.PingTargets() {
		w.pinged = append(w.pinged, a.AsSlice())
	}
	for _, a := range plan.Resolvers() {
		w.resolvers = append(w.resolvers, a.AsSlice())
	}
	for _, n := range plan.Names()[:100] {
		w.names = append(w.names, n.Host)
	}
	for _, s := range plan.Sites() {
		w.sites = append(w.sites, site{s.Host, s.Addr.AsSlice()})
	}
	return w
}

// shifting is 24 hosts of their own addresses and 6 paths of 1 to 21 bytes, in any combination: what follows the
// path is shifted by it.
func shifting(rng *rand.Rand) *World {
	w := tools(rng)
	w.sites = nil
	for i, word := range strings.Fields(`alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu
		nu xi omicron pi rho sigma tau upsilon phi chi psi omega`) {
		host := word + []string{".shop.test", ".example", ".static.lab.test"}[i%3]
		w.sites = append(w.sites, site{host, net.IPv4(10, 77, 2, byte(100+i)).To4()})
	}
	w.paths = []string{"/", "/news", "/about-us", "/img/logo.png", "/shop/cart/items", "/archive/2024/11/index"[:21]}
	return w
}

// long is the lab's network with padded pings and GETs with a cookie of random hex digits: packets of 400 to
// 1,400 bytes.
func long(rng *rand.Rand) *World {
	w := tools(rng)
	w.padding, w.cookie = [2]int{372, 1372}, [2]int{260, 1200}
	return w
}

// Packets returns count packets of label ping, dns or http, with their checksums zeroed, as recipes take them.
func (w *World) Packets(label string, count int) ([][]byte, error) {
	draw, known := map[string]func() ([]byte, error){"ping": w.ping, "dns": w.query, "http": w.get}[label]
	if !known {
		return nil, fmt.Errorf("no packets of label %q: must be ping, dns or http", label)
	}
	packets := make([][]byte, count)
	for i := range packets {
		var err error
		if packets[i], err = draw(); err != nil {
			return nil, fmt.Errorf("packet of label %q: %w", label, err)
		}
		packet.ZeroChecksums(packets[i])
	}
	return packets, nil
}

func (w *World) between(bounds [2]int) int { return bounds[0] + w.rng.IntN(bounds[1]-bounds[0]+1) }

func (w *World) port() uint16 { return uint16(32768 + w.rng.IntN(28232)) }

func (w *World) ip(protocol layers.IPProtocol, to net.IP) *layers.IPv4 {
	clients := plan.Clients()
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: uint16(w.rng.Uint32()), Flags: layers.IPv4DontFragment, Protocol: protocol,
		SrcIP: clients[w.rng.IntN(len(clients))].AsSlice(), DstIP: to,
	}
}

// ping is iputils': the time, then bytes that count up.
func (w *World) ping() ([]byte, error) {
	data := make([]byte, w.between(w.padding))
	for i := range data {
		data[i] = byte(i)
	}
	binary.LittleEndian.PutUint64(data, uint64(1_790_000_000+w.rng.IntN(600)))
	binary.LittleEndian.PutUint64(data[8:], uint64(w.rng.IntN(1_000_000)))
	icmp := &layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0),
		Id:       uint16(w.rng.Uint32()), Seq: uint16(1 + w.rng.IntN(8)),
	}
	return serialize(w.ip(layers.IPProtocolICMPv4, w.pinged[w.rng.IntN(len(w.pinged))]), icmp, gopacket.Payload(data))
}

// query is dig's: EDNS with a client cookie that is new each time.
func (w *World) query() ([]byte, error) {
	cookie := make([]byte, 8)
	for i := range cookie {
		cookie[i] = byte(w.rng.Uint32())
	}
	query := &layers.DNS{
		ID: uint16(w.rng.Uint32()), RD: true, Z: 2, QDCount: 1, ARCount: 1,
		Questions: []layers.DNSQuestion{{
			Name: []byte(w.names[w.rng.IntN(len(w.names))]), Type: layers.DNSTypeA, Class: layers.DNSClassIN,
		}},
		Additionals: []layers.DNSResourceRecord{{
			Type: layers.DNSTypeOPT, Class: 1232, OPT: []layers.DNSOPT{{Code: layers.DNSOptionCodeCookie, Data: cookie}},
		}},
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(w.port()), DstPort: 53}
	return serialize(w.ip(layers.IPProtocolUDP, w.resolvers[w.rng.IntN(len(w.resolvers))]), udp, query)
}

// get is curl's.
func (w *World) get() ([]byte, error) {
	s := w.sites[w.rng.IntN(len(w.sites))]
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n%s", w.paths[w.rng.IntN(len(w.paths))], s.host, w.headers)
	if w.cookie[1] > 0 {
		value := make([]byte, w.between(w.cookie))
		for i := range value {
			value[i] = "0123456789abcdef"[w.rng.IntN(16)]
		}
		text += "Cookie: session=" + string(value) + "\r\n"
	}
	stamps := binary.BigEndian.AppendUint32(nil, 1_000_000+w.rng.Uint32N(1<<20))
	stamps = binary.BigEndian.AppendUint32(stamps, w.rng.Uint32())
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(w.port()), DstPort: 80, Seq: w.rng.Uint32(), Ack: w.rng.Uint32(), PSH: true, ACK: true, Window: 502,
		Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: stamps},
		},
	}
	return serialize(w.ip(layers.IPProtocolTCP, s.addr), tcp, gopacket.Payload(text+"\r\n"))
}

func serialize(parts ...gopacket.SerializableLayer) ([]byte, error) {
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, parts...)
	return buffer.Bytes(), err
}
