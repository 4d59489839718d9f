package quality

import "pacgan-appliance/internal/packet"

// sets measures Novelty and Duplicates over whole packets, checksums aside.
func (r *Report) sets(generated, train [][]byte) {
	trained := make(map[string]bool, len(train))
	for _, p := range train {
		trained[identity(p)] = true
	}
	seen := make(map[string]bool, len(generated))
	for _, p := range generated {
		key := identity(p)
		if !trained[key] {
			r.N.Novel++
		}
		if seen[key] {
			r.N.Duplicates++
		}
		seen[key] = true
	}
	r.Novelty = share(r.N.Novel, r.N.Generated)
	r.Duplicates = share(r.N.Duplicates, r.N.Generated)
}

// identity is the packet without its checksums.
func identity(p []byte) string {
	c := append([]byte(nil), p...)
	packet.ZeroChecksums(c)
	return string(c)
}

// coverage measures Coverage over the keys of the packets that can be parsed.
func (r *Report) coverage(generated, train []values) {
	found := keys(generated)
	wanted := keys(train)
	for key := range wanted {
		if found[key] {
			r.N.Covered++
		}
	}
	r.N.TrainKeys = len(wanted)
	r.Coverage = share(r.N.Covered, r.N.TrainKeys)
}

// coverageKey is what a request asks for: absent parts stay absent.
type coverageKey struct{ dst, qname, host, path value }

func keys(packets []values) map[coverageKey]bool {
	set := make(map[coverageKey]bool)
	for _, v := range packets {
		if v[fieldDst].kind == present {
			set[coverageKey{v[fieldDst], v[fieldQName], v[fieldHost], v[fieldPath]}] = true
		}
	}
	return set
}

// Variety counts how many of the packets equal an earlier one, checksums
// aside, and how many distinct things the others ask for, as Report.Coverage
// defines them. Each packet starts at its IPv4 header.
func Variety(packets [][]byte) (duplicates, keyCount int) {
	var r Report
	r.sets(packets, nil)
	return r.N.Duplicates, len(keys(readAll(packets)))
}
