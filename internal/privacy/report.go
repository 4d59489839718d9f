package privacy

import (
	"bytes"
	"context"
	"fmt"
	"index/suffixarray"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/quality"
)

// Report is how much a label's generated packets tell of those that the
// generator was trained on. Every share stands beside its counts.
type Report struct {
	// Memorised is the share of generated packets that hold a secret of a
	// training packet.
	Memorised float64 `json:"memorised"`
	// MemorisedReal is the same of held-out packets: what real clients repeat
	// of themselves.
	MemorisedReal float64 `json:"memorised_real"`
	// Kinds are the secrets by kind; one that is missing was not in the
	// training packets, or cannot be told.
	Kinds map[Kind]KindReport `json:"kinds"`
	// Nearer is the share of generated packets that are nearer to a training
	// packet than to a held-out one, of as many: 0.5 where nothing is
	// memorised. Those that are equally near count as half.
	Nearer float64 `json:"nearer"`
	// Membership is the area under the ROC curve of an attack that tells
	// training packets from held-out ones by their distance to the nearest
	// generated packet: 0.5 is a guess, 1 is certainty.
	Membership float64 `json:"membership"`
	// MembershipError is its standard error.
	MembershipError float64 `json:"membership_error"`
	N               Counts  `json:"n"`
}

// KindReport is what became of one kind of secret.
type KindReport struct {
	Secrets  int `json:"secrets"`  // different ones in the training packets
	Repeated int `json:"repeated"` // of these, in generated packets
	Packets  int `json:"packets"`  // generated packets that hold one
}

// Counts are the numerators and denominators of a Report, in packets but for
// Clients.
type Counts struct {
	Generated     int `json:"generated"`
	HeldOut       int `json:"held_out"`
	Clients       int `json:"clients"` // of the training packets; tokens and names are told of two and more
	Memorised     int `json:"memorised"`
	MemorisedReal int `json:"memorised_real"`
	PerClass      int `json:"per_class"` // training packets, and as many held-out ones, of Nearer and Membership
}

// mostCompared bounds the packets that Nearer and Membership compare.
const mostCompared = 1000

// Measure compares generated packets with those that trained the generator and
// those that were held out. All are IP packets.
func Measure(ctx context.Context, generated, train, heldOut [][]byte, seed uint64) (Report, error) {
	r := Report{Kinds: map[Kind]KindReport{}, N: Counts{Generated: len(generated), HeldOut: len(heldOut)}}
	secrets := r.gather(train)
	r.N.Memorised = r.repeats(secrets, generated)
	r.N.MemorisedReal = len(holding(secrets, heldOut))
	r.Memorised, r.MemorisedReal = share(r.N.Memorised, r.N.Generated), share(r.N.MemorisedReal, r.N.HeldOut)
	if err := r.compare(ctx, generated, train, heldOut, seed); err != nil {
		return Report{}, fmt.Errorf("privacy: %w", err)
	}
	return r, nil
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// gather finds the secrets of the training packets, by their text in lower
// case: names compare so, and a secret in other letters is told all the same.
func (r *Report) gather(train [][]byte) map[string]Kind {
	type owner struct {
		kind Kind
		by   netip.Addr
		many bool
	}
	owners := map[string]owner{}
	clients := map[netip.Addr]bool{}
	for _, b := range train {
		p, err := packet.ParseIP(b)
		if err != nil {
			continue
		}
		clients[p.Src()] = true
		payload, dns := payloadOf(p)
		for _, s := range secretsIn(payload, dns) {
			text := string(bytes.ToLower(payload[s.from:s.to]))
			o, known := owners[text]
			if !known || o.kind.shared() && !s.kind.shared() { // the graver kind counts
				o.kind = s.kind
			}
			o.many = o.many || known && o.by != p.Src()
			o.by = p.Src()
			owners[text] = o
		}
	}
	r.N.Clients = len(clients)
	secrets := map[string]Kind{}
	for text, o := range owners {
		if o.kind.shared() && (o.many || len(clients) < 2) {
			continue
		}
		secrets[text] = o.kind
		k := r.Kinds[o.kind]
		k.Secrets++
		r.Kinds[o.kind] = k
	}
	return secrets
}

// repeats counts the generated packets that hold a secret, and by kind.
func (r *Report) repeats(secrets map[string]Kind, generated [][]byte) int {
	found := holding(secrets, generated)
	repeated := map[string]bool{}
	for _, texts := range found {
		kinds := map[Kind]bool{}
		for _, text := range texts {
			repeated[text] = true
			kinds[secrets[text]] = true
		}
		for kind := range kinds {
			k := r.Kinds[kind]
			k.Packets++
			r.Kinds[kind] = k
		}
	}
	for text := range repeated {
		k := r.Kinds[secrets[text]]
		k.Repeated++
		r.Kinds[secrets[text]] = k
	}
	return len(found)
}

// holding finds the packets that hold a secret anywhere in their payload, by
// their number, and which.
func holding(secrets map[string]Kind, packets [][]byte) map[int][]string {
	var all []byte
	var ends []int // of each packet's payload in all
	for _, b := range packets {
		if p, err := packet.ParseIP(b); err == nil {
			payload, _ := payloadOf(p)
			all = append(all, bytes.ToLower(payload)...)
		}
		ends = append(ends, len(all))
	}
	index := suffixarray.New(all)
	found := map[int][]string{}
	for _, text := range slices.Sorted(maps.Keys(secrets)) {
		for _, at := range index.Lookup([]byte(text), -1) {
			n, _ := slices.BinarySearch(ends, at+1)
			if at+len(text) <= ends[n] && !slices.Contains(found[n], text) {
				found[n] = append(found[n], text)
			}
		}
	}
	return found
}

// compare measures Nearer and Membership on equally many packets of both
// sides.
func (r *Report) compare(ctx context.Context, generated, train, heldOut [][]byte, seed uint64) error {
	r.Nearer, r.Membership = 0.5, 0.5
	n := min(len(train), len(heldOut), mostCompared)
	if n == 0 || len(generated) == 0 {
		return nil
	}
	r.N.PerClass = n
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	members, strangers := drawn(rng, train, n), drawn(rng, heldOut, n)
	toMembers, err := quality.Distances(ctx, generated, members)
	if err != nil {
		return err
	}
	toStrangers, err := quality.Distances(ctx, generated, strangers)
	if err != nil {
		return err
	}
	r.Nearer = less(toMembers, toStrangers)
	ofMembers, err := quality.Distances(ctx, members, generated)
	if err != nil {
		return err
	}
	ofStrangers, err := quality.Distances(ctx, strangers, generated)
	if err != nil {
		return err
	}
	r.Membership, r.MembershipError = areaUnderROC(ofMembers, ofStrangers)
	return nil
}

// drawn are n of the packets, by chance.
func drawn(rng *rand.Rand, packets [][]byte, n int) [][]byte {
	out := make([][]byte, n)
	for i, from := range rng.Perm(len(packets))[:n] {
		out[i] = packets[from]
	}
	return out
}

// less is the share of places at which a is below b; equal ones are half.
func less(a, b []int) float64 {
	sum := 0.0
	for i := range a {
		switch {
		case a[i] < b[i]:
			sum++
		case a[i] == b[i]:
			sum += 0.5
		}
	}
	return sum / float64(len(a))
}

// areaUnderROC is the probability that a member's distance is below a
// stranger's (Mann and Whitney's U), and its standard error (Hanley and
// McNeil, Radiology 143, 1982).
func areaUnderROC(members, strangers []int) (area, deviation float64) {
	sorted := slices.Sorted(slices.Values(strangers))
	sum := 0.0
	for _, d := range members {
		below, _ := slices.BinarySearch(sorted, d)
		notAbove, _ := slices.BinarySearch(sorted, d+1)
		sum += float64(len(sorted)-notAbove) + float64(notAbove-below)/2
	}
	n := float64(len(members))
	area = sum / (n * float64(len(strangers)))
	q1, q2 := area/(2-area), 2*area*area/(1+area)
	variance := (area*(1-area) + (n-1)*(q1-area*area) + (n-1)*(q2-area*area)) / (n * n)
	return area, math.Sqrt(max(variance, 0))
}
