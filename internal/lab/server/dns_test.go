package server

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"pacgan-appliance/internal/bounded"
	"pacgan-appliance/internal/lab/plan"
)

func mustQuery(tb testing.TB, h dnsmessage.Header, questions ...dnsmessage.Question) []byte {
	tb.Helper()
	b, err := (&dnsmessage.Message{Header: h, Questions: questions}).Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func question(host string, t dnsmessage.Type, c dnsmessage.Class) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(host), Type: t, Class: c}
}

func testDNS(tb testing.TB) *dnsServer {
	tb.Helper()
	log, err := newJournal(tb.TempDir(), "dns.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { log.file.Close() })
	return newDNS([]plan.Name{{Host: "a.test", Addrs: []netip.Addr{
		netip.MustParseAddr("10.77.2.10"), netip.MustParseAddr("10.77.2.11"),
	}}}, log)
}

func TestDNSAnswer(t *testing.T) {
	const in, a = dnsmessage.ClassINET, dnsmessage.TypeA
	header := dnsmessage.Header{ID: 7, RecursionDesired: true}
	plain := mustQuery(t, header, question("a.test.", a, in))
	withAnswers := append([]byte(nil), plain...)
	withAnswers[7] = 1
	withTwoAdditionals := append([]byte(nil), plain...)
	withTwoAdditionals[11] = 2
	for _, c := range []struct {
		name, status string
		query        []byte
		rcode        dnsmessage.RCode
		answers      int
	}{
		{"known", "NOERROR", plain, 0, 2},
		{"in capitals", "NOERROR", mustQuery(t, header, question("A.TeSt.", a, in)), 0, 2},
		{"no record of this type", "NODATA", mustQuery(t, header, question("a.test.", dnsmessage.TypeAAAA, in)), 0, 0},
		{"unknown", "NXDOMAIN", mustQuery(t, header, question("b.test.", a, in)), dnsmessage.RCodeNameError, 0},
		{"parent of a known one", "NXDOMAIN", mustQuery(t, header, question("test.", a, in)), dnsmessage.RCodeNameError, 0},
		{"another class", "REFUSED", mustQuery(t, header, question("a.test.", a, dnsmessage.ClassCHAOS)), dnsmessage.RCodeRefused, 0},
		{"another opcode", "NOTIMP", mustQuery(t, dnsmessage.Header{ID: 7, OpCode: 2}, question("a.test.", a, in)), dnsmessage.RCodeNotImplemented, 0},
		{"no question", "FORMERR", mustQuery(t, header), dnsmessage.RCodeFormatError, 0},
		{"two questions", "FORMERR", mustQuery(t, header, question("a.test.", a, in), question("b.test.", a, in)), dnsmessage.RCodeFormatError, 0},
		{"a truncated name", "FORMERR", plain[:len(plain)-6], dnsmessage.RCodeFormatError, 0},
		{"answers in a query", "FORMERR", withAnswers, dnsmessage.RCodeFormatError, 0},
		{"two additional records", "FORMERR", withTwoAdditionals, dnsmessage.RCodeFormatError, 0},
		{"the truncation bit", "FORMERR", mustQuery(t, dnsmessage.Header{ID: 7, Truncated: true}, question("a.test.", a, in)), dnsmessage.RCodeFormatError, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var entry dnsEntry
			out := testDNS(t).answer(nil, c.query, &entry)
			var reply dnsmessage.Message
			if err := reply.Unpack(out); err != nil {
				t.Fatal(err)
			}
			type result struct {
				Status  string
				ID      uint16
				RCode   dnsmessage.RCode
				Answers int
			}
			want := result{c.status, 7, c.rcode, c.answers}
			if diff := cmp.Diff(want, result{entry.Status, reply.ID, reply.RCode, len(reply.Answers)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDNSIsSilentToWhatIsNoQuery(t *testing.T) {
	response := mustQuery(t, dnsmessage.Header{Response: true}, question("a.test.", dnsmessage.TypeA, dnsmessage.ClassINET))
	for name, b := range map[string][]byte{"empty": {}, "half a header": response[:11], "a response": response} {
		if out := testDNS(t).answer(nil, b, &dnsEntry{}); out != nil {
			t.Errorf("%s: answered %x", name, out)
		}
	}
}

func FuzzDNSAnswer(f *testing.F) {
	q := question("a.test.", dnsmessage.TypeA, dnsmessage.ClassINET)
	f.Add(mustQuery(f, dnsmessage.Header{ID: 1, RecursionDesired: true}, q)) // what the clients send
	f.Add(mustQuery(f, dnsmessage.Header{ID: 1}, q, q))                      // two questions
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12})              // a name that points to itself
	server := testDNS(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		defer bounded.Input(t, len(b))()
		var entry dnsEntry
		out := server.answer(nil, b, &entry)
		if out != nil && entry.Status == "" {
			t.Errorf("an answer without a status: %x", out)
		}
		if out != nil && (out[0] != b[0] || out[1] != b[1] || out[2]&0x80 == 0) {
			t.Errorf("answer %x is no response to %x", out, b)
		}
	})
}
