package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"pacgan-appliance/internal/lab/plan"
)

// protocol is a label: how it is captured, who speaks it, and what an answer has to say.
type protocol struct {
	name, filter string
	port         int
	tcp          bool
	server       []string          // program and arguments; DIR is the directory of the files
	files        map[string]string // its configuration; DIR as above
	// ask returns a client's program and arguments.
	ask   func(dir string, rng *rand.Rand, from, to netip.Addr) []string
	waits bool // most of the client's time
	valid func(request, reply []byte) bool
}

func names() []string {
	var names []string
	for _, p := range protocols() {
		names = append(names, p.name)
	}
	return names
}

// protocols are the labels.
func protocols() []protocol {
	return []protocol{ntp(), snmp(), tls(), mqtt(), sip()}
}

func pick[T any](rng *rand.Rand, of []T) T { return of[rng.IntN(len(of))] }

func ntp() protocol {
	return protocol{
		name: "ntp", filter: "udp dst port 123", port: 123, valid: validNTP, waits: true,
		server: []string{"chronyd", "-d", "-x", "-u", "root", "-f", "DIR/chrony.conf"},
		files:  map[string]string{"chrony.conf": "local stratum 8\nallow\ncmdport 0\nbindcmdaddress /\npidfile DIR/chronyd.pid\n"},
		ask: func(dir string, rng *rand.Rand, from, to netip.Addr) []string {
			return []string{
				"chronyd", "-Q", "-t", "20", "-u", "root", "-f", "/dev/null",
				fmt.Sprintf("server %s iburst", to), "bindacqaddress " + from.String(), "cmdport 0", "bindcmdaddress /",
				fmt.Sprintf("pidfile %s", filepath.Join(dir, fmt.Sprintf("client-%016x.pid", rng.Uint64()))),
			}
		},
	}
}

func snmp() protocol {
	objects := strings.Fields(`1.3.6.1.2.1.1.1.0 1.3.6.1.2.1.1.2.0 1.3.6.1.2.1.1.3.0 1.3.6.1.2.1.1.4.0 1.3.6.1.2.1.1.5.0
		1.3.6.1.2.1.1.6.0 1.3.6.1.2.1.2.1.0 1.3.6.1.2.1.4.1.0 1.3.6.1.2.1.4.3.0 1.3.6.1.2.1.6.5.0 1.3.6.1.2.1.7.1.0
		1.3.6.1.2.1.25.1.1.0`)
	return protocol{
		name: "snmp", filter: "udp dst port 161", port: 161, valid: validSNMP,
		server: []string{"snmpd", "-f", "-Lo", "-C", "-c", "DIR/snmpd.conf", "-p", "DIR/snmpd.pid"},
		files: map[string]string{"snmpd.conf": "agentaddress udp:161\nrocommunity public 10.0.0.0/8\n" +
			"rocommunity monitoring 10.0.0.0/8\nsyscontact noc@lab.test\nsyslocation lab\n"},
		ask: func(_ string, rng *rand.Rand, from, to netip.Addr) []string {
			args := []string{"snmpget", "-v2c", "-c", pick(rng, []string{"public", "monitoring"}), "-r", "0", "-m", "", "-M", "",
				"--clientaddr=" + from.String(), to.String()}
			for range 1 + rng.IntN(3) {
				args = append(args, pick(rng, objects))
			}
			return args
		},
	}
}

func tls() protocol {
	var b strings.Builder
	b.WriteString("daemon off;\nworker_processes 1;\npid DIR/nginx.pid;\nerror_log stderr crit;\nevents { worker_connections 4096; }\nhttp {\n\taccess_log off;\n")
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "\t%s_temp_path DIR/%s;\n", temp, temp)
	}
	b.WriteString("\tssl_certificate DIR/cert.pem;\n\tssl_certificate_key DIR/key.pem;\n")
	for _, a := range plan.WebServers() { // a name that is not a site of the address is refused with an alert
		fmt.Fprintf(&b, "\tserver { listen %s:443 ssl default_server; ssl_reject_handshake on; }\n", a)
	}
	for _, s := range plan.Sites() {
		fmt.Fprintf(&b, "\tserver { listen %s:443 ssl; server_name %s; return 200; }\n", s.Addr, s.Host)
	}
	b.WriteString("}\n")
	return protocol{
		name: "tls", port: 443, tcp: true, valid: validTLS,
		filter: "tcp dst port 443 and tcp[((tcp[12] & 0xf0) >> 2)] = 22 and tcp[((tcp[12] & 0xf0) >> 2) + 5] = 1",
		server: []string{"nginx", "-e", "stderr", "-p", "DIR", "-c", "DIR/nginx.conf"},
		files:  map[string]string{"nginx.conf": b.String()},
		ask: func(_ string, rng *rand.Rand, from, _ netip.Addr) []string {
			site := pick(rng, plan.Sites())
			return []string{"openssl", "s_client", "-connect", site.Addr.String() + ":443", "-bind", from.String() + ":0",
				"-servername", site.Host}
		},
	}
}

// mqttUsers are names and passwords of devices.
func mqttUsers() [][2]string {
	var users [][2]string
	for i, kind := range strings.Fields("door lamp heater meter camera pump gate fan") {
		users = append(users, [2]string{kind + strconv.Itoa(i*i), fmt.Sprintf("%s-%06x", kind[:3], 0xace1*(i+1)*0x35)[:8+i%3]})
	}
	return users
}

func mqtt() protocol {
	return protocol{
		name: "mqtt", filter: "tcp dst port 1883 and tcp[((tcp[12] & 0xf0) >> 2)] = 0x10", port: 1883, tcp: true, valid: validMQTT,
		server: []string{"mosquitto", "-c", "DIR/mosquitto.conf"},
		files: map[string]string{"mosquitto.conf": "listener 1883 0.0.0.0\nallow_anonymous false\npassword_file DIR/passwords\n" +
			"user root\npersistence false\nlog_type error\n"},
		ask: func(_ string, rng *rand.Rand, from, to netip.Addr) []string {
			user := pick(rng, mqttUsers())
			args := []string{"mosquitto_pub", "-h", to.String(), "-A", from.String(), "-u", user[0], "-P", user[1],
				"-t", "lab/" + user[0], "-m", strconv.Itoa(rng.IntN(100))}
			if rng.IntN(2) == 0 {
				args = append(args, "-i", fmt.Sprintf("%s-%04x", user[0], rng.IntN(1<<16)))
			}
			return args
		},
	}
}

func sip() protocol {
	users := strings.Fields("alice bob carol dave erin frank grace heidi ivan judy mallory niaj")
	listen := ""
	for _, a := range plan.WebServers() {
		listen += fmt.Sprintf("listen=udp:%s:5060\n", a)
	}
	return protocol{
		name: "sip", filter: "udp dst port 5060", port: 5060, valid: validSIP,
		server: []string{"kamailio", "-DD", "-E", "-f", "DIR/kamailio.cfg", "-Y", "DIR", "-P", "DIR/kamailio.pid", "-m", "16", "-M", "4"},
		files: map[string]string{"kamailio.cfg": "#!KAMAILIO\ndebug=0\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\n" + listen + `
loadmodule "sl.so"
loadmodule "pv.so"
request_route {
	if (method == "OPTIONS" && uri == myself && $rU =~ "^(` + strings.Join(users, "|") + `)$") {
		sl_send_reply("200", "OK");
		exit;
	}
	sl_send_reply("404", "Not Found");
}
`},
		ask: func(_ string, rng *rand.Rand, _, to netip.Addr) []string {
			return []string{"sipsak", "-s", fmt.Sprintf("sip:%s@%s", pick(rng, users), to)}
		},
	}
}
