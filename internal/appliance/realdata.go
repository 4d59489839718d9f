package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pacgan-appliance/internal/config"
	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/train"
)

// dataDir is where, in the state directory, captured packets are kept.
const dataDir = "data"

// mostLearned is the length in bytes of the longest packet that is learned:
// what an Ethernet frame carries. Longer ones are segments that a network card
// had yet to cut up when they were captured.
const mostLearned = 1500

// leftOut counts captured frames that are not learned.
type leftOut struct {
	notIP, cut, malformed, fragments, long int
}

func (l *leftOut) total() int { return l.notIP + l.cut + l.malformed + l.fragments + l.long }

func (l *leftOut) add(m leftOut) {
	l.notIP += m.notIP
	l.cut += m.cut
	l.malformed += m.malformed
	l.fragments += m.fragments
	l.long += m.long
}

// String names what there is.
func (l *leftOut) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{l.notIP, "that are not IP"}, {l.cut, "cut short"}, {l.malformed, "whose lengths do not agree"},
		{l.fragments, "that are fragments"}, {l.long, fmt.Sprintf("longer than %s bytes", thousands(mostLearned))},
	} {
		if part.n > 0 {
			parts = append(parts, thousands(part.n)+" "+part.what)
		}
	}
	return strings.Join(parts, ", ")
}

// ipPackets are the IP packets in captured frames, as a generator learns
// them: copies, checksums zeroed. A fragment is no request that could be
// answered.
func ipPackets(captured []packet.Packet) (packets [][]byte, out leftOut) {
	for _, c := range captured {
		ip, err := packet.IPOf(c.Frame)
		switch {
		case errors.Is(err, packet.ErrTruncated):
			out.cut++
			continue
		case err != nil:
			out.notIP++
			continue
		case len(ip) > mostLearned:
			out.long++
			continue
		}
		parsed, err := packet.ParseIP(ip)
		switch {
		case err != nil:
			out.malformed++
			continue
		case parsed.FragmentOffset() != 0 || parsed.MoreFragments():
			out.fragments++
			continue
		}
		ip = slices.Clone(ip)
		packet.ZeroChecksums(ip)
		packets = append(packets, ip)
	}
	return packets, out
}

// splitPackets are a label's packets that training sees and those held out
// from it, and what neither has.
func splitPackets(captured []packet.Packet) (trained, heldOut [][]byte, out leftOut) {
	a, b := dataset.Split(captured)
	trained, out = ipPackets(a)
	heldOut, more := ipPackets(b)
	out.add(more)
	return trained, heldOut, out
}

// corpus is what a training learns from and what its model is judged by.
type corpus struct {
	train   train.Data
	heldOut [][][]byte // of each label; nil where capture files are learned whole
	// validated says that those held out chose the checkpoint.
	validated bool
	until     time.Time         // when the newest packet was captured; zero where that does not matter
	leftOut   map[string]string // labels that were asked for and are not learned, with the reason
}

// trainData reads what the flags name.
func (p *Program) trainData(o trainOptions) (corpus, error) {
	if o.state == "" {
		data, err := p.filesData(o.labels)
		return corpus{train: data}, err
	}
	store, err := dataset.OpenReadOnly(filepath.Join(o.state, dataDir))
	if err != nil {
		return corpus{}, err
	}
	data, err := p.storeData(store, o)
	if err == nil && len(data.train) == 0 && len(data.leftOut) > 0 {
		err = fmt.Errorf("no label can be learned: %s", inWords(data.leftOut))
	}
	return data, errors.Join(err, store.Close())
}

// storeData reads the labels of a store that the flags name; without names, all.
func (p *Program) storeData(store *dataset.Store, o trainOptions) (corpus, error) {
	var data corpus
	only := o.only
	if len(only) == 0 {
		only = store.Labels()
	}
	var since time.Time
	if o.since != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, o.since); err != nil {
			return corpus{}, usagef("--since %q: must be a time such as 2026-01-02T15:04:05Z", o.since)
		}
	}
	for _, label := range only {
		captured, err := store.Read(label, 0)
		if err != nil {
			return corpus{}, err
		}
		if o.since != "" {
			captured = newest(captured, since, o.least)
		}
		for _, c := range captured {
			if c.Time.After(data.until) {
				data.until = c.Time
			}
		}
		trained, heldOut, out := splitPackets(captured)
		if out.total() > 0 {
			fmt.Fprintf(p.Stderr, "label %q: left out of %s frames: %v\n", label, thousands(len(captured)), &out)
		}
		if why := unlearnable(trained); why != "" {
			if data.leftOut == nil {
				data.leftOut = map[string]string{}
			}
			data.leftOut[label] = why
			fmt.Fprintf(p.Stderr, "label %q: left out of the training: %s\n", label, why)
			continue
		}
		data.train = append(data.train, train.Set{Label: label, Packets: trained})
		data.heldOut = append(data.heldOut, heldOut)
	}
	return data, nil
}

// unlearnable says why a label's packets cannot be learned; "" where they can.
// Whoever sends what a filter takes must not keep the others from being
// learned.
func unlearnable(packets [][]byte) string {
	if n := len(packets); n < config.MinTrainable {
		return fmt.Sprintf("%d of its packets can be learned, at least %d are needed", n, config.MinTrainable)
	}
	for _, p := range packets[1:] {
		if !bytes.Equal(p, packets[0]) {
			return ""
		}
	}
	return fmt.Sprintf("its %s packets are all the same", thousands(len(packets)))
}

// inWords lists labels with the reasons why they are left out.
func inWords(leftOut map[string]string) string {
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(leftOut)) {
		parts = append(parts, label+" ("+leftOut[label]+")")
	}
	return strings.Join(parts, ", ")
}

// newest are the packets that were captured after a time, and at least so many
// of the last ones.
func newest(captured []packet.Packet, since time.Time, least int) []packet.Packet {
	first := slices.IndexFunc(captured, func(p packet.Packet) bool { return p.Time.After(since) })
	if first < 0 {
		first = len(captured)
	}
	return captured[max(0, min(first, len(captured)-least)):]
}

// filesData reads capture files; several of one label are joined. What cannot
// be learned is counted and said.
func (p *Program) filesData(flags []string) (train.Data, error) {
	var data train.Data
	for _, flag := range flags {
		name, file, err := cutLabel(flag)
		if err != nil {
			return nil, err
		}
		captured, stats, err := dataset.ReadFile(file, name)
		if err != nil {
			return nil, err
		}
		packets, out := ipPackets(captured)
		out.cut += stats.Cut + stats.Short
		if out.total() > 0 {
			fmt.Fprintf(p.Stderr, "%s: left out of %s frames: %v\n", file, thousands(len(packets)+out.total()), &out)
		}
		if len(packets) == 0 {
			return nil, fmt.Errorf("%s: no IP packets to learn for label %q", file, name)
		}
		i := slices.IndexFunc(data, func(s train.Set) bool { return s.Label == name })
		if i < 0 {
			data = append(data, train.Set{Label: name, Packets: packets})
			continue
		}
		data[i].Packets = append(data[i].Packets, packets...)
	}
	return data, nil
}
