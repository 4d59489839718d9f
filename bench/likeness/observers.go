package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"pacgan-appliance/internal/lab"
	"pacgan-appliance/internal/lab/ids"
	"pacgan-appliance/internal/lab/program"
)

// observers are all that read the recordings.
func observers() []observer {
	return []observer{{"suricata", suricata}, {"tshark", tshark}, {"ndpi", ndpi}}
}

// suricata counts the events of the lab's sensor: requests and answers that it parsed, flows by protocol, alerts
// by signature. Anomalies are faults, and so are the alerts of Debian's rules, which watch for packets that cannot
// be decoded, wrong checksums and odd conversations.
func suricata(ctx context.Context, pcap string) (profile, error) {
	dir := strings.TrimSuffix(pcap, ".pcap") + ".suricata"
	if err := ids.Read(ctx, dir, pcap, ids.Rules()); err != nil {
		return nil, err
	}
	log, err := os.Open(ids.EVE(dir))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	return readEVE(log)
}

// eveEvent is what is counted of an event.
type eveEvent struct {
	Type    string `json:"event_type"`
	Proto   string `json:"proto"`
	App     string `json:"app_proto"`
	Alert   struct{ Signature string }
	Anomaly struct{ Type, Event string }
	DNS     struct{ Type string }
}

// debianRules begins what the rules say that Debian's package brings, and nothing of ours.
const debianRules = "SURICATA "

func readEVE(r io.Reader) (profile, error) {
	counts, flows := map[string]int{}, 0
	for events := json.NewDecoder(r); ; {
		var e eveEvent
		err := events.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("EVE: %w", err)
		}
		switch e.Type {
		case "flow":
			flows++
			counts[strings.TrimRight("flow "+e.Proto+" "+e.App, " ")]++
		case "alert":
			what := "alert " + e.Alert.Signature
			if strings.HasPrefix(e.Alert.Signature, debianRules) {
				what = fault + what
			}
			counts[what]++
		case "anomaly":
			counts[fault+"anomaly "+e.Anomaly.Type+" "+e.Anomaly.Event]++
		case "dns":
			counts["dns "+e.DNS.Type]++
		case "stats": // counters, no events
		default:
			counts[e.Type]++
		}
	}
	if flows == 0 {
		return nil, errors.New("EVE: not one flow")
	}
	return rates(counts, flows), nil
}

// tshark counts packets by the protocols that it dissected in them, and what its experts warn of in those of the LAN's
// side: checksums, which it is told to verify, and much else. (One of 65,536 segments of the servers' kernel has a checksum
// of 0xffff where the sum is 0, which is a warning.)
func tshark(ctx context.Context, pcap string) (profile, error) {
	out, err := output(ctx, "tshark", "-r", pcap, "-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-T", "fields", "-E", "occurrence=a", "-e", "frame.protocols", "-e", "ip.src", "-e", "_ws.expert.severity")
	if err != nil {
		return nil, err
	}
	return readFields(out)
}

func readFields(out []byte) (profile, error) {
	const err, warning = "8388608", "6291456" // tshark -G values
	counts, packets := map[string]int{}, 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("tshark printed %q in the place of three fields", lines.Text())
		}
		packets++
		counts[fields[0]]++
		from, _ := netip.ParseAddr(fields[1])
		for severity := range strings.SplitSeq(fields[2], ",") {
			if lab.LANNetwork().Contains(from) && (severity == err || severity == warning) {
				counts[fault+"error or warning"]++
			}
		}
	}
	if packets == 0 {
		return nil, errors.New("not one packet")
	}
	return rates(counts, packets), nil
}

// ndpi counts flows by the protocol that nDPI found in them, and by the risks that it sees.
func ndpi(ctx context.Context, pcap string) (profile, error) {
	out, err := output(ctx, "ndpiReader", "-v", "2", "-i", pcap)
	if err != nil {
		return nil, err
	}
	return readFlows(out)
}

var (
	ndpiFlow = regexp.MustCompile(`^\t\d+\t(\w+) .*?\[proto: [\d.]+/([^\]]+)\]`)
	ndpiRisk = regexp.MustCompile(`\[Risk: ([^\]]+)\]`)
)

// readFlows reads ndpiReader's lines of flows, "\t1\tUDP 10.0.0.1:53 <-> ... [proto: 5/DNS]...[Risk: ** Suspicious ** Other **]...".
func readFlows(out []byte) (profile, error) {
	counts, flows := map[string]int{}, 0
	for line := range bytes.Lines(out) {
		m := ndpiFlow.FindSubmatch(line)
		if m == nil {
			continue
		}
		flows++
		counts["flow "+string(m[1])+" "+string(m[2])]++
		if risks := ndpiRisk.FindSubmatch(line); risks != nil {
			for _, risk := range strings.Split(string(risks[1]), "**") {
				if risk = strings.TrimSpace(risk); risk != "" {
					counts["risk "+risk]++
				}
			}
		}
	}
	if flows == 0 {
		return nil, errors.New("not one flow")
	}
	return rates(counts, flows), nil
}

// output runs a program and returns what it printed.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	path, err := program.Find(name)
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Stderr = program.CleanEnv(), &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
