package main

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Messages as chrony, net-snmp, nginx, mosquitto and kamailio send them.
const (
	ntpRequest  = "230006200000000000000000000000000000000000000000000000000000000000000000000000001122334455667788"
	ntpReply    = "240806e70000000000000010" + "7f7f0101" + "eb1a2b3c4d5e6f70" + "1122334455667788" + "eb1a2b3c4d5e6f71" + "eb1a2b3c4d5e6f72"
	snmpRequest = "302602010104067075626c6963a01902042b3c4d5e020100020100300b300906052b060102010500"
	snmpReply   = "302602010104067075626c6963a21902042b3c4d5e020100020100300b300906052b060102010500"
)

// TestVerdicts: what a server grants is valid, and what it says where it refuses, or answers something else, is not.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name           string
		valid          func(request, reply []byte) bool
		request, reply string // hex, or text
		want           bool
	}{
		{"ntp", validNTP, ntpRequest, ntpReply, true},
		{"ntp: another request's", validNTP, ntpRequest[:80] + "0000000000000000", ntpReply, false},
		{"ntp: kiss of death", validNTP, ntpRequest, "2400" + ntpReply[4:], false},
		{"ntp: without the time", validNTP, ntpRequest, "2410" + ntpReply[4:], false},
		{"ntp: short", validNTP, ntpRequest, ntpReply[:80], false},
		{"snmp", validSNMP, snmpRequest, snmpReply, true},
		{"snmp: another request's", validSNMP, snmpRequest, strings.Replace(snmpReply, "2b3c4d5e", "2b3c4d5f", 1), false},
		{"snmp: an error", validSNMP, snmpRequest, strings.Replace(snmpReply, "4d5e020100", "4d5e020105", 1), false},
		{"snmp: no such object", validSNMP, snmpRequest, snmpReply[:len(snmpReply)-4] + "8000", false},
		{"snmp: a request", validSNMP, snmpRequest, snmpRequest, false},
		{"snmp: torn", validSNMP, snmpRequest, snmpReply[:60], false},
		{"tls", validTLS, "", "160303007a020000760303", true},
		{"tls: an alert", validTLS, "", "15030300020270", false},
		{"mqtt", validMQTT, "", "20020000", true},
		{"mqtt: not authorised", validMQTT, "", "20020005", false},
		{"sip", validSIP, "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 7@c\r\n\r\n", "SIP/2.0 200 OK\r\nCall-ID: 7@c\r\n\r\n", true},
		{"sip: another call", validSIP, "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 7@c\r\n\r\n", "SIP/2.0 200 OK\r\nCall-ID: 8@c\r\n\r\n", false},
		{"sip: not found", validSIP, "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 7@c\r\n\r\n", "SIP/2.0 404 Not Found\r\nCall-ID: 7@c\r\n\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.valid(message(tt.request), message(tt.reply)); got != tt.want {
				t.Errorf("valid %t, want %t", got, tt.want)
			}
		})
	}
}

func message(s string) []byte {
	if b, err := hex.DecodeString(s); err == nil {
		return b
	}
	return []byte(s)
}

// TestCounter: the first reply of a flow is judged, once for each request.
func TestCounter(t *testing.T) {
	client, server := net.IPv4(10, 77, 1, 11), net.IPv4(10, 77, 2, 80)
	frame := func(from, to net.IP, transport gopacket.SerializableLayer, data []byte) []byte {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from, DstIP: to}
		if _, tcp := transport.(*layers.TCP); tcp {
			ip.Protocol = layers.IPProtocolTCP
		}
		b := gopacket.NewSerializeBuffer()
		ethernet := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, ethernet, ip, transport, gopacket.Payload(data)); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(b.Bytes())
	}
	asks := func(port layers.UDPPort) []byte {
		return frame(client, server, &layers.UDP{SrcPort: port, DstPort: 161}, message(snmpRequest))
	}
	answers := func(port layers.UDPPort, text string) []byte {
		return frame(server, client, &layers.UDP{SrcPort: 161, DstPort: port}, message(text))
	}
	says := func(from, to net.IP, t layers.TCP, data string) []byte { return frame(from, to, &t, message(data)) }
	c := counter{labels: protocols(), talks: map[flow]*talk{}, valid: map[string]int{}}
	for _, f := range [][]byte{
		asks(4000), answers(4000, snmpReply), answers(4000, snmpReply), // once
		asks(4000), answers(4000, snmpReply), // and again
		answers(4001, snmpReply), // nobody asked
		asks(4002), answers(4002, snmpRequest),
		says(client, server, layers.TCP{SrcPort: 5000, DstPort: 1883, SYN: true}, ""),
		says(server, client, layers.TCP{SrcPort: 1883, DstPort: 5000, SYN: true, ACK: true}, ""),
		says(client, server, layers.TCP{SrcPort: 5000, DstPort: 1883, ACK: true}, "1000"),
		says(server, client, layers.TCP{SrcPort: 1883, DstPort: 5000, ACK: true}, "20020000"),
		says(server, client, layers.TCP{SrcPort: 1883, DstPort: 5000, ACK: true}, "20020000"),
		says(client, server, layers.TCP{SrcPort: 5001, DstPort: 1883, ACK: true}, "1000"),
		says(server, client, layers.TCP{SrcPort: 1883, DstPort: 5001, ACK: true}, "20020005"),
		[]byte("short"),
	} {
		c.see(f)
	}
	if diff := cmp.Diff(map[string]int{"snmp": 2, "mqtt": 1}, c.valid); diff != "" {
		t.Errorf("valid (-want +got):\n%s", diff)
	}
}

func TestUnknownLabel(t *testing.T) {
	const want = "-labels ntp,gopher: must be some of ntp,snmp,tls,mqtt,sip"
	if _, err := chosen([]string{"ntp", "gopher"}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
