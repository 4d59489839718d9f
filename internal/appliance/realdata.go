package appliance

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"pacgan-appliance/internal/dataset"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/train"
)

// dataDir is where, in the state directory, captured packets are kept.
const dataDir = "data"

// ipPackets are the IP packets in captured frames, as a generator learns
// them: copies, checksums zeroed. Frames that carry something else are
// counted.
func ipPackets(captured []packet.Packet) (packets [][]byte, others int) {
	for _, c := range captured {
		ip, err := packet.IPOf(c.Frame)
		if err != nil {
			others++
			continue
		}
		ip = slices.Clone(ip)
		packet.ZeroChecksums(ip)
		packets = append(packets, ip)
	}
	return packets, others
}

// splitPackets are a label's packets that training sees and those held out
// from it, and how many frames carried something other than IP.
func splitPackets(captured []packet.Packet) (trained, heldOut [][]byte, others int) {
	a, b := dataset.Split(captured)
	trained, others = ipPackets(a)
	heldOut, more := ipPackets(b)
	return trained, heldOut, others + more
}

// corpus is what a training learns from and what its model is judged by.
type corpus struct {
	train   train.Data
	heldOut [][][]byte // of each label; nil where capture files are learned whole
	until   time.Time  // when the newest packet was captured; zero where that does not matter
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
	data, err := p.storeData(store, o.only)
	return data, errors.Join(err, store.Close())
}

// storeData reads the named labels of a store; without names, all.
func (p *Program) storeData(store *dataset.Store, only []string) (corpus, error) {
	var data corpus
	if len(only) == 0 {
		only = store.Labels()
	}
	for _, label := range only {
		captured, err := store.Read(label, 0)
		if err != nil {
			return corpus{}, err
		}
		for _, c := range captured {
			if c.Time.After(data.until) {
				data.until = c.Time
			}
		}
		trained, heldOut, others := splitPackets(captured)
		if others > 0 {
			fmt.Fprintf(p.Stderr, "label %q: left out %s frames that are not IP\n", label, thousands(others))
		}
		data.train = append(data.train, train.Set{Label: label, Packets: trained})
		data.heldOut = append(data.heldOut, heldOut)
	}
	return data, nil
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
		packets, others := ipPackets(captured)
		if stats.Cut+stats.Short+others > 0 {
			fmt.Fprintf(p.Stderr, "%s: left out %s frames that a snap length cut, %s shorter than their header, %s that are not IP; %s are left\n",
				file, thousands(stats.Cut), thousands(stats.Short), thousands(others), thousands(len(packets)))
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
