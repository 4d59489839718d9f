package server

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/lab/plan"
)

// dnsServer answers A queries of a table over UDP, and NXDOMAIN for all other names.
type dnsServer struct {
	log *journal

	mu      sync.RWMutex
	names   map[string][]netip.Addr // lower case, with the final dot
	sockets []*net.UDPConn
	serving sync.WaitGroup
}

// dnsEntry is one line of dns.jsonl.
type dnsEntry struct {
	Time   time.Time      `json:"time"`
	Source netip.AddrPort `json:"source"`
	Server string         `json:"server"`
	Name   string         `json:"name,omitempty"`
	Type   string         `json:"type,omitempty"`
	Status string         `json:"status"`
}

func newDNS(names []plan.Name, log *journal) *dnsServer {
	d := &dnsServer{log: log, names: map[string][]netip.Addr{}}
	for _, n := range names {
		d.names[n.Host+"."] = n.Addrs
	}
	return d
}

func (d *dnsServer) start(resolvers []netip.Addr) error {
	for _, addr := range resolvers {
		socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 53)))
		if err != nil {
			d.stop()
			return err
		}
		d.sockets = append(d.sockets, socket)
		d.serving.Go(func() { d.serve(socket) })
	}
	return nil
}

func (d *dnsServer) stop() {
	for _, socket := range d.sockets {
		socket.Close()
	}
	d.sockets = nil
	d.serving.Wait()
}

func (d *dnsServer) remove(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.names[host+"."]
	delete(d.names, host+".")
	return known
}

// serve answers queries until its socket is closed.
func (d *dnsServer) serve(socket *net.UDPConn) {
	server := socket.LocalAddr().String()
	query, reply := make([]byte, 1500), make([]byte, 0, 512)
	for {
		n, source, err := socket.ReadFromUDPAddrPort(query)
		if err != nil {
			return
		}
		entry := dnsEntry{Time: time.Now().UTC(), Source: source, Server: server}
		out := d.answer(reply, query[:n], &entry)
		if out == nil {
			continue
		}
		d.log.add(entry.Status, entry)
		_, _ = socket.WriteToUDPAddrPort(out, source) // a client that is gone needs no answer
	}
}

// answer appends the response to a query and names its status in entry; nil: not a query at all,
// which no server answers (RFC 5625, 6.2: two servers could answer each other for ever).
func (d *dnsServer) answer(buf, query []byte, entry *dnsEntry) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	reply := dnsmessage.Header{
		ID: header.ID, Response: true, OpCode: header.OpCode, Authoritative: true,
		RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
	}
	refuse := func(code dnsmessage.RCode, status string) []byte {
		entry.Status, reply.RCode = status, code
		return pack(buf, reply, nil, nil)
	}
	if header.OpCode != 0 {
		return refuse(dnsmessage.RCodeNotImplemented, "NOTIMP")
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 || header.Truncated || hasRecords(query) {
		return refuse(dnsmessage.RCodeFormatError, "FORMERR")
	}
	q := questions[0]
	entry.Name, entry.Type = q.Name.String(), strings.TrimPrefix(q.Type.String(), "Type")
	if q.Class != dnsmessage.ClassINET {
		return refuse(dnsmessage.RCodeRefused, "REFUSED")
	}
	d.mu.RLock()
	addrs, known := d.names[strings.ToLower(q.Name.String())]
	d.mu.RUnlock()
	switch {
	case !known:
		entry.Status, reply.RCode = "NXDOMAIN", dnsmessage.RCodeNameError
	case q.Type != dnsmessage.TypeA:
		entry.Status, addrs = "NODATA", nil
	default:
		entry.Status = "NOERROR"
	}
	return pack(buf, reply, &q, addrs)
}

// hasRecords says that a query has answer or authority records, or more additional ones than the
// one that EDNS allows.
func hasRecords(query []byte) bool {
	answers, authorities := query[6:8], query[8:10]
	additionals := int(query[10])<<8 | int(query[11])
	return answers[0]|answers[1]|authorities[0]|authorities[1] != 0 || additionals > 1
}

// pack builds a response; what a parsed question holds always packs, so that errors cannot occur
// but for a name of more than 255 bytes, which the parser refuses.
func pack(buf []byte, h dnsmessage.Header, q *dnsmessage.Question, addrs []netip.Addr) []byte {
	m := dnsmessage.Message{Header: h}
	if q != nil {
		m.Questions = []dnsmessage.Question{*q}
		for _, a := range addrs {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 300},
				Body:   &dnsmessage.AResource{A: a.As4()},
			})
		}
	}
	out, err := m.AppendPack(buf[:0])
	if err != nil {
		return nil
	}
	return out
}
