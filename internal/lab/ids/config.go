package ids

import (
	"bytes"
	"path/filepath"
	"strings"
	"text/template"
)

// Names of what is in a sensor's directory.
const (
	configFile = "suricata.yaml"
	ruleFile   = "local.rules"
	logFile    = "suricata.log"
	eveFile    = "eve.json"
	statsFile  = "stats.json" // the counters alone, each second
)

// EVE is the log of events that a sensor writes in its directory.
func EVE(dir string) string { return filepath.Join(dir, eveFile) }

// configText has what Suricata does by default, but for what the sensor must not do to the lab's machine
// (sockets and files outside of its directory), the checksums, which it validates in every packet, and
// the parsers of TLS and others, which take part so that traffic can be mistaken for theirs.
const configText = `%YAML 1.1
---
# Written by pacgan-appliance lab.
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8]"
    EXTERNAL_NET: "any"
default-log-dir: {{.Dir}}
default-rule-path: {{.Dir}}
rule-files:
  - {{.Rules}}
{{range .Events}}  - /etc/suricata/rules/{{.}}-events.rules
{{end}}classification-file: /etc/suricata/classification.config
reference-config-file: /etc/suricata/reference.config
pid-file: {{.Dir}}/suricata.pid
unix-command: {enabled: no}
host-mode: sniffer-only
runmode: workers
max-pending-packets: 1024
logging:
  default-log-level: notice
  outputs:
    - console: {enabled: no}
    - file: {enabled: yes, level: notice, filename: {{.Log}}}
stats: {enabled: yes, interval: 1}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: {{.EVE}}
      community-id: true
      pcap-file: false
      types:
        - alert: {packet: yes} # by which score tells packets of equal addresses and ports apart
        - anomaly: {enabled: yes, types: {decode: yes, stream: yes, applayer: yes}}
        - dns: {version: 2}
        - http
        - flow
        - stats: {totals: yes}
  - eve-log:
      enabled: yes
      filetype: regular
      filename: {{.Stats}}
      types: [stats: {totals: yes}]
af-packet:
  - interface: {{.Interface}}
    threads: 1
    ring-size: 20000 # frames; the lab's bursts are longer than the default's 2,048
    cluster-id: 77
    cluster-type: cluster_flow
    tpacket-v3: no # its last block would be lost when the sensor ends
    defrag: yes
    checksum-checks: yes
    disable-promisc: yes
pcap-file: {checksum-checks: yes}
flow: {memcap: 64mb, hash-size: 16384, prealloc: 1000}
flow-timeouts:
  icmp: {new: 10, established: 10}
  udp: {new: 10, established: 10}
stream: {memcap: 32mb, checksum-validation: yes, reassembly: {memcap: 64mb}}
app-layer:
  protocols:
{{range .Parsers}}    {{.}}: {enabled: yes}
{{end}}`

// events are what Debian's rules watch beside ours: packets and conversations that are not as they should be.
const events = `decoder stream app-layer http dns`

// parsers are all that Suricata 7 has for what it can meet on any port.
const parsers = `bittorrent-dht dcerpc dhcp dns ftp http http2 ike imap krb5 mqtt nfs ntp pgsql quic rdp rfb sip smb smtp snmp ssh telnet tftp tls`

// configOf is the sensor's configuration.
func configOf(dir, iface string) ([]byte, error) {
	t, err := template.New(configFile).Parse(configText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Dir": dir, "Interface": iface, "Rules": ruleFile, "Log": logFile, "EVE": eveFile, "Stats": statsFile,
		"Events": strings.Fields(events), "Parsers": strings.Fields(parsers),
	})
	return b.Bytes(), err
}
