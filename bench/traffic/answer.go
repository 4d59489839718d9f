package traffic

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/lab/plan"
	"pacgan-appliance/internal/packet"
)

// Answers reports whether the world's servers would answer a packet of a label: it is framed, from one of the clients,
// and asks a server for what that server has. It is strict: what real servers would forgive is no success here.
func (w *World) Answers(label string, b []byte) bool {
	p, err := packet.ParseIP(b)
	if err != nil || p.Version() != 4 || p.TotalLen() != len(b) || p.TTL() == 0 || p.FragmentOffset() != 0 || p.MoreFragments() {
		return false
	}
	if !slices.Contains(plan.Clients(), p.Src()) {
		return false
	}
	to := net.IP(p.Dst().AsSlice())
	switch {
	case label == "ping" && p.Protocol() == packet.ProtoICMP:
		m := packet.ICMP(p.Payload())
		return m.Type() == 8 && m.Code() == 0 && containsIP(w.pinged, to)
	case label == "dns" && p.Protocol() == packet.ProtoUDP:
		d := packet.UDP(p.Payload())
		return d.DstPort() == 53 && d.Len() == len(d) && containsIP(w.resolvers, to) && w.resolves(d[8:])
	case label == "http" && p.Protocol() == packet.ProtoTCP:
		s := packet.TCP(p.Payload())
		return s.DstPort() == 80 && s.Flags() == packet.FlagPSH|packet.FlagACK && w.serves(to, p.L4Data())
	}
	return false
}

func containsIP(ips []net.IP, ip net.IP) bool {
	return slices.ContainsFunc(ips, ip.Equal)
}

// resolves reports whether a message is a query for the address of a known name, whole and with nothing behind it.
func (w *World) resolves(b []byte) bool {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || m.Response || m.OpCode != 0 || len(m.Questions) != 1 || len(m.Answers)+len(m.Authorities) > 0 {
		return false
	}
	q := m.Questions[0]
	if again, err := m.Pack(); err != nil || len(again) != len(b) {
		return false
	}
	return q.Type == dnsmessage.TypeA && q.Class == dnsmessage.ClassINET &&
		slices.Contains(w.names, strings.TrimSuffix(q.Name.String(), "."))
}

// serves reports whether a segment is one whole GET of a path that the host at this address has.
func (w *World) serves(to net.IP, data []byte) bool {
	reader := bufio.NewReader(bytes.NewReader(data))
	r, err := http.ReadRequest(reader)
	if err != nil || r.Method != http.MethodGet || !slices.Contains(w.paths, r.RequestURI) {
		return false
	}
	if _, err := reader.ReadByte(); err != io.EOF {
		return false
	}
	return slices.ContainsFunc(w.sites, func(s site) bool { return s.host == r.Host && s.addr.Equal(to) })
}
