package quality

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/packet"
)

// Requests captured from Debian 12's own tools with their default options.
const (
	// ping -I 10.9.0.1 10.9.0.2 (iputils)
	pingHex = "4500005425e44000400100b10a0900010a0900020800271b36ef00010173046b00000000d143040000000000" +
		"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
	// ping -s 8 10.9.0.2: too short for a time
	pingShortHex = "45000024958240004001914 10a0900020a0900020800b4db371300010001020304050607"
	// ping -p ab 10.9.0.2: a filling of the user's
	pingPatternHex = "4500005495844000400 1910f0a0900020a09000208004710371400010173046b000000000393070000000000" +
		"abababababababababababababababababababababababababababababababababababababababab"
	// dig @10.9.0.2 host3.lab.test: EDNS with a client cookie
	digHex = "450000532ea90000401137dc0a0900020a090002dc490035003f1466bb7001200001000000000001" +
		"05686f737433036c616204746573740000010001" + "00002904d000000000000c" + "000a0008fb136f123d131e58"
	// curl http://10.9.0.2:8080/a/b?c=1: TCP timestamps
	curlHex = "450000881a50400040060c0b0a0900020a090002ede81f904c7b5c4321969604801800401490 0000" +
		"0101080a5e247285e09ecb57" +
		"474554202f612f623f633d3120485454502f312e310d0a486f73743a2031302e392e302e323a383038300d0a" +
		"557365722d4167656e743a206375726c2f372e38382e310d0a4163636570743a202a2f2a0d0a0d0a"
)

func mustHex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// ipv4 puts an IPv4 header before a transport segment; checksums are 0.
func ipv4(protocol byte, src, dst [4]byte, id uint16, l4 []byte) []byte {
	b := make([]byte, 20, 20+len(l4))
	b[0], b[6], b[8], b[9] = 0x45, 0x40, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(l4)))
	binary.BigEndian.PutUint16(b[4:], id)
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	return append(b, l4...)
}

func udp(sport, dport uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(data)))
	return append(b, data...)
}

func tcp(sport, dport uint16, seq, ack uint32, data []byte) []byte {
	b := make([]byte, 20, 20+len(data))
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13], b[14] = 5<<4, packet.FlagPSH|packet.FlagACK, 0xfa
	return append(b, data...)
}

func query(tb testing.TB, id uint16, name string, cookie []byte) []byte {
	tb.Helper()
	n, err := dnsmessage.NewName(name)
	if err != nil {
		tb.Fatal(err)
	}
	msg := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	if cookie != nil {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(1232, dnsmessage.RCodeSuccess, false); err != nil {
			tb.Fatal(err)
		}
		opt := &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: ednsOptionCookie, Data: cookie}}}
		msg.Additionals = []dnsmessage.Resource{{Header: h, Body: opt}}
	}
	b, err := msg.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func get(host, path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n\r\n", path, host)
}

func addr(net, host int) [4]byte { return [4]byte{10, 77, byte(net), byte(host)} }

func u16(rng *rand.Rand) uint16 { return uint16(rng.Uint32()) }

func clientPort(rng *rand.Rand) uint16 { return uint16(32768 + rng.IntN(28232)) }

// traffic makes n packets that look like a lab's: 4 clients, 8 servers, 2
// resolvers, 100 names, 24 hosts of 4 paths.
func traffic(tb testing.TB, label string, n int, seed uint64) [][]byte {
	tb.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	packets := make([][]byte, n)
	for i := range packets {
		src := addr(1, 10+rng.IntN(4))
		switch label {
		case "ping":
			packets[i] = ping(tb, rng, src, addr(2, 1+rng.IntN(8)))
		case "dns":
			cookie := binary.BigEndian.AppendUint64(nil, rng.Uint64())
			name := fmt.Sprintf("host%d.lab.test.", rng.IntN(100))
			msg := udp(clientPort(rng), 53, query(tb, u16(rng), name, cookie))
			packets[i] = ipv4(packet.ProtoUDP, src, addr(2, 53+rng.IntN(2)), u16(rng), msg)
		case "http":
			host, path := rng.IntN(24), rng.IntN(4)
			data := get(fmt.Sprintf("www%d.lab.test", host), "/"+strings.Repeat("page", path))
			segment := tcp(clientPort(rng), 80, rng.Uint32(), rng.Uint32(), data)
			packets[i] = ipv4(packet.ProtoTCP, src, addr(2, 1+host%8), u16(rng), segment)
		default:
			tb.Fatalf("no traffic of label %q", label)
		}
	}
	return packets
}

// ping is iputils' packet under other addresses, id, sequence number and time.
func ping(tb testing.TB, rng *rand.Rand, src, dst [4]byte) []byte {
	tb.Helper()
	l4 := mustHex(tb, pingHex)[20:]
	binary.BigEndian.PutUint16(l4[2:], 0)
	binary.BigEndian.PutUint16(l4[4:], u16(rng))
	binary.BigEndian.PutUint16(l4[6:], uint16(1+rng.IntN(500)))
	binary.LittleEndian.PutUint64(l4[8:], uint64(1.8e9+rng.IntN(3600)))
	binary.LittleEndian.PutUint64(l4[16:], uint64(rng.IntN(1e6)))
	return ipv4(packet.ProtoICMP, src, dst, u16(rng), l4)
}

// longGETs makes n requests of 24 hosts on 8 servers, each with a random cookie
// that fills it to 1,400 bytes.
func longGETs(n int, seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	packets := make([][]byte, n)
	for i := range packets {
		host := rng.IntN(24)
		data := fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: www%d.lab.test\r\nCookie: ", host)
		for len(data) < 1356 {
			data = append(data, "0123456789abcdef"[rng.IntN(16)])
		}
		segment := tcp(clientPort(rng), 80, rng.Uint32(), rng.Uint32(), append(data, "\r\n\r\n"...))
		packets[i] = ipv4(packet.ProtoTCP, addr(1, 10+rng.IntN(4)), addr(2, 1+host%8), u16(rng), segment)
	}
	return packets
}

// altered gives copies that f has changed.
func altered(packets [][]byte, f func(i int, p []byte)) [][]byte {
	out := make([][]byte, len(packets))
	for i, p := range packets {
		out[i] = append([]byte(nil), p...)
		f(i, out[i])
	}
	return out
}
