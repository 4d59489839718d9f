package capture

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

func mustCompile(tb testing.TB, expr string) Filter {
	tb.Helper()
	f, err := Compile(expr)
	if err != nil {
		tb.Fatalf("Compile(%q): %v", expr, err)
	}
	return f
}

// TestCompileErrors pins the text that follows `label "dns": filter "...": `.
func TestCompileErrors(t *testing.T) {
	const lookUp = ": no keyword of pcap-filter(7), and host names are not looked up: write an address"
	for _, tt := range []struct {
		expr string
		want string
	}{
		{"udp dst prt 53", `syntax error at "prt"` + lookUp},
		{"host www.example.com", `syntax error at "www.example.com"` + lookUp},
		{"host localhost", `syntax error at "localhost"` + lookUp},
		{"net loopback", `syntax error at "loopback"` + lookUp},
		{"gateway gw", `syntax error at "gw"` + lookUp},
		{"ether host printer", `syntax error at "printer"` + lookUp},
		{"www.example.com", `syntax error at "www.example.com"` + lookUp},
		{"src a", `syntax error at "a"` + lookUp},
		{"HOST 10.0.0.1", `syntax error at "HOST"` + lookUp},
		{`host \ip`, `syntax error at "ip"` + lookUp},
		{"port domain and src localhost", `syntax error at "localhost"` + lookUp},
		{"port domain or (host 10.0.0.1 or localhost)", `syntax error at "localhost"` + lookUp},
		{"host 10.0.0.1 and (port 53) or localhost", `syntax error at "localhost"` + lookUp},
		{"port 53 and tcp[0] = 1 or localhost", `syntax error at "localhost"` + lookUp},
		{"host 10.0.0.1.example", `syntax error at "10.0.0.1.example"` + lookUp},
		{"host 10.0.0.1 or fe80::1:foo", `syntax error at "oo"` + lookUp},
		{"host deadbeefcafe", `syntax error at "deadbeefcafe"` + lookUp},
		{"port nosuchservice", "unknown port 'nosuchservice'"},
		{"port 70000", "illegal port number 70000 > 65535"},
		{"udp and and", "syntax error: see pcap-filter(7)"},
		{"tcp[0:5] = 1", "data size must be 1, 2, or 4"},
		{"ip and ip6", "expression rejects all packets"},
		{"-r /etc/passwd", `syntax error at "r"` + lookUp},
		{"inbound", "asks for what is not in the frame's bytes (inbound, outbound or the like), which no label can depend on"},
		{"ip protochain 17", "needs a loop (protochain), which kernel filters cannot have"},
		{" \t", "empty: write ip to match all of IPv4"},
	} {
		t.Run(tt.expr, func(t *testing.T) {
			_, err := Compile(tt.expr)
			if err == nil {
				t.Fatal("compiled")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// expressions that a user may write; the oracle tests run each of them.
func expressions() []string {
	return []string{
		"ip",
		"icmp[icmptype] == icmp-echo",
		"icmp6[icmp6type] = icmp6-echo",
		"udp dst port 53",
		"udp dst port domain or 5353",
		"port (http or https)",
		"tcp portrange 80-90",
		"ip proto 1",
		`ip proto \tcp`,
		"tcp dst port 80 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
		"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.77.1.0/24",
		"vlan and tcp port 80",
		"vlan 100 and vlan 200 and icmp",
		"ip6 and udp port 53",
		"host 2001:db8::1 or host 10.77.1.2",
		"net 10.77.0.0 mask 255.255.0.0",
		"ether host 02:00:00:00:00:01",
		"ether proto 0x0806 or arp",
		"not ip multicast and not ether broadcast",
		"ip[6:2] & 0x1fff != 0",
		"ip[0] & 0xf != 5",
		"less 60",
		"greater 1000",
		"len = 77 or len <= 20",
		"udp[8:2] > 0x1000 and udp[4:2] % 2 = 1",
		"icmp and ip[2:2] / 3 > 10",
		"tcp[4:4] - tcp[8:4] > 0x7fffffff",
		"ip[8] * 2 > 100 or ip[9] ^ 6 = 0",
		"ether[ether[0] + 14] = 7",
		"sctp or ah or esp or pim or igmp",
	}
}

func TestCompileExpressions(t *testing.T) {
	for _, expr := range expressions() {
		if f := mustCompile(t, expr); f.String() != expr {
			t.Errorf("String() = %q, want %q", f, expr)
		}
	}
}

func TestWithoutTcpdump(t *testing.T) {
	for _, path := range []string{"/usr/sbin/tcpdump", "/sbin/tcpdump"} {
		if _, err := os.Stat(path); err == nil {
			t.Skipf("%s is there whatever PATH says", path)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Compile("ip")
	want := "tcpdump, which compiles filters, is not installed: apt-get install tcpdump, or dnf install tcpdump"
	if !errors.Is(err, ErrNoTcpdump) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestOddTcpdump: what stands in for tcpdump is not believed.
func TestOddTcpdump(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"silent", "exit 1", "tcpdump refused it without a reason"},
		{"several lines", "echo 'tcpdump: WARNING: x' >&2; echo 'tcpdump: bad thing' >&2; exit 1", "bad thing"},
		{"no program", "echo hello", "tcpdump printed no program of 1 to 4096 instructions"},
		{"too long", "echo 5000", "tcpdump printed no program of 1 to 4096 instructions"},
		{"cut", "echo 2; echo 6 0 0 0", "tcpdump printed 1 of 2 instructions"},
		{"not BPF", "echo 1; echo 65535 0 0 0", "tcpdump printed instructions that are not classic BPF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			script := "#!/bin/sh\n" + tt.script + "\n"
			if err := os.WriteFile(filepath.Join(dir, "tcpdump"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":/usr/bin:/bin")
			if _, err := Compile("ip"); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzCheckNames: an expression that passes is one whose every name follows
// port or proto; cutting always goes on.
func FuzzCheckNames(f *testing.F) {
	for _, expr := range expressions() {
		f.Add(expr)
	}
	f.Add("host www.example.com")  // refused
	f.Add(`\ \ip 1.2.3.4.5 ::1:g`) // escapes, and addresses that are none
	f.Fuzz(func(t *testing.T, expr string) {
		defer bounded.Input(t, len(expr))()
		err := checkNames(expr)
		for rest := expr; rest != ""; {
			word, kind := nextWord(rest)
			if word == "" {
				t.Fatalf("no word at %q", rest)
			}
			rest = rest[len(word):]
			if err == nil && kind == wordName && !strings.Contains(expr, "port") && !strings.Contains(expr, "proto") {
				t.Errorf("%q passed with the name %q", expr, word)
			}
		}
	})
}

// FuzzParseDecimal: no output of a tcpdump makes the reader panic.
func FuzzParseDecimal(f *testing.F) {
	f.Add("4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n")
	f.Add("-1")
	f.Add("1\n6 0 0 99999999999")
	f.Fuzz(func(t *testing.T, text string) {
		defer bounded.Input(t, len(text))()
		if program, err := parseDecimal(text); err == nil {
			_, _ = Filter{program: program}.block(0, 0)
		}
	})
}
