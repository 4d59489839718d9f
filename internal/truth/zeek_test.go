package truth

import (
	"iter"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func records(list ...Record) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for i := range list {
			if !yield(&list[i], nil) {
				return
			}
		}
	}
}

func TestWriteZeek(t *testing.T) {
	dns, echo, web, blocked := testRecord(0), testRecord(1), testRecord(2), testRecord(3)
	echo.Proto, echo.ICMPType, echo.Pacgan.Malicious, echo.Pacgan.Label = protoICMPv6, 128, true, "bigping"
	echo.SrcIP, echo.DestIP = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	web.Proto, web.Pacgan.Verdict, web.Pacgan.Label = protoTCP, Expired, "http"
	blocked.Pacgan.Verdict = Blocked
	var out strings.Builder
	n, err := WriteZeek(&out, records(dns, echo, web, blocked))
	if n != 3 || err != nil {
		t.Errorf("%d lines, error %v", n, err)
	}
	want := "#separator \\x09\n" + strings.ReplaceAll(`#set_separator ,
#empty_field (empty)
#unset_field -
#path conn
#fields ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents label detailed-label
#types time string addr port addr port enum string interval count count string bool bool count string count count count count set[string] string string
1795596667.123456 018f0000-0000-0000-0000-000000000000 10.77.1.5 40000 10.77.2.2 53 udp - 0.000135 - - - - - - - 1 75 - - - Benign dns
1795596667.124456 018f0000-0000-0000-0000-000000000001 2001:db8::1 128 2001:db8::2 0 icmp - 0.000135 - - - - - - - 1 75 - - - Malicious bigping
1795596667.125456 018f0000-0000-0000-0000-000000000002 10.77.1.5 40000 10.77.2.2 53 tcp - - - - - - - - - - - - - - Benign http
`, " ", "\t")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("conn.log.labeled (-want +got):\n%s", diff)
	}
}
