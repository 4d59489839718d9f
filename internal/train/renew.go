package train

import (
	"bytes"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// Secrets are found where there is evidence.
const (
	shortestSecret = 4    // bytes
	fewestSources  = 3    // that each have sent two packets
	fewestPerValue = 3    // digits expected of each of the 16 values, below which chi-square says nothing
	leastRandom    = 0.01 // probability of digits as uneven as these, were they random
)

// renewSecrets returns copies of the packets in which the secrets of machines are others: what follows the IP header, is
// always the same of one source, different of each, and has digits as random ones have: cookies, tokens, keys. Each
// source is given a new one, of the same length and kind (bytes, or hex digits as text), so that what is learned of
// them holds, and none that was captured is ever sent.
func renewSecrets(packets [][]byte, rng *rand.Rand) [][]byte {
	renewed := make([][]byte, len(packets))
	for i, p := range packets {
		renewed[i] = bytes.Clone(p)
	}
	for _, a := range align(renewed) {
		header := 0
		for _, p := range a.packets {
			header = max(header, ipHeader(p))
		}
		for part, fixed := range a.fixed {
			rows := a.column(part)
			if !fixed {
				renewField(a.packets, rows, rng)
				continue
			}
			for _, run := range bySource(a.packets, rows, header-int(a.cuts[0][part])) {
				renewField(a.packets, slice(rows, run[0], run[1]), rng)
			}
		}
	}
	return renewed
}

// renewAll renews the secrets of all labels.
func renewAll(data Data, seed uint64) Data {
	renewed := make(Data, len(data))
	for i, set := range data {
		rng := rand.New(rand.NewPCG(seed, 1<<34|uint64(i)))
		renewed[i] = Set{set.Label, renewSecrets(set.Packets, rng)}
	}
	return renewed
}

// bySource returns the runs of bytes, first to end, that are always the same of one source, but not of all; none of
// them before byte first.
func bySource(packets, rows [][]byte, first int) (runs [][2]int) {
	from := -1
	for x := max(first, 0); x <= len(rows[0]); x++ {
		if x < len(rows[0]) && followsSource(packets, slice(rows, x, x+1)) {
			if from < 0 {
				from = x
			}
			continue
		}
		if from >= 0 {
			runs = append(runs, [2]int{from, x})
		}
		from = -1
	}
	return runs
}

// followsSource reports whether a field is always the same of one source, and not of all.
func followsSource(packets, rows [][]byte) bool {
	of, varies := map[string][]byte{}, false
	for i, row := range rows {
		s := source(packets[i])
		if known, ok := of[s]; ok && !bytes.Equal(known, row) {
			return false
		}
		of[s] = row
		varies = varies || !bytes.Equal(row, rows[0])
	}
	return varies
}

// renewField gives each source another value of a field, in place, if it is a secret.
func renewField(packets, rows [][]byte, rng *rand.Rand) {
	text, ok := secret(packets, rows)
	if !ok {
		return
	}
	fresh := map[string][]byte{}
	for i, row := range rows {
		s := source(packets[i])
		if fresh[s] == nil {
			fresh[s] = make([]byte, len(row))
			for x := range row {
				fresh[s][x] = byte(rng.Uint32())
				if text {
					fresh[s][x] = "0123456789abcdef"[rng.IntN(digitValues)]
				}
			}
			if text && bytes.Equal(row, bytes.ToUpper(row)) {
				fresh[s] = bytes.ToUpper(fresh[s])
			}
		}
		copy(row, fresh[s])
	}
}

// secret reports whether a field is one, and whether it is hex digits as text.
func secret(packets, rows [][]byte) (text, ok bool) {
	if !followsSource(packets, rows) {
		return false, false
	}
	of, sent := map[string][]byte{}, map[string]int{}
	for i, row := range rows {
		s := source(packets[i])
		of[s] = row
		sent[s]++
	}
	var digits []byte // of all sources' values, one a byte
	known, different := 0, map[string]bool{}
	text = true
	for s, value := range of {
		if sent[s] > 1 {
			known++
		}
		if len(value) < shortestSecret || different[string(value)] {
			return false, false
		}
		different[string(value)] = true
		text = text && len(bytes.Trim(value, "0123456789abcdefABCDEF")) == 0
	}
	for _, value := range of {
		for _, b := range value {
			if text {
				digits = append(digits, hexValue(b))
			} else {
				digits = append(digits, b>>4, b&15)
			}
		}
	}
	return text, known >= fewestSources && random16(digits)
}

// hexValue is that of a hex digit as text.
func hexValue(b byte) byte {
	if b <= '9' {
		return b - '0'
	}
	return b&^0x20 - 'A' + 10
}

// random16 reports whether digits may be random ones: Pearson's chi-square test.
func random16(digits []byte) bool {
	expected := float64(len(digits)) / digitValues
	if expected < fewestPerValue {
		return false
	}
	var counts [digitValues]float64
	for _, d := range digits {
		counts[d&15]++
	}
	sum := 0.0
	for _, n := range counts {
		sum += (n - expected) * (n - expected) / expected
	}
	return distuv.ChiSquared{K: digitValues - 1}.Survival(sum) >= leastRandom
}

// ipHeader is the length of a packet's IP header, as far as it is there.
func ipHeader(p []byte) int {
	const ipv6 = 40
	switch {
	case len(p) > 0 && p[0]>>4 == 4:
		return 4 * int(p[0]&15)
	case len(p) > 0 && p[0]>>4 == 6:
		return ipv6
	}
	return 0
}

// source is a packet's source address (RFC 791, 3.1; RFC 8200, 3), "" where it has none.
func source(p []byte) string {
	switch header := ipHeader(p); {
	case header == 40 && p[0]>>4 == 6 && len(p) >= 24:
		return string(p[8:24])
	case header >= 20 && len(p) >= 16:
		return string(p[12:16])
	}
	return ""
}
