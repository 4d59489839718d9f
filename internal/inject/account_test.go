package inject_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"pacgan-appliance/internal/inject"
	"pacgan-appliance/internal/verify"
)

// account is DESIGN.md's accounting of one label, from the injector's ledger,
// the guard's counters, the matcher's, the sweeper's and the table.
type account struct {
	Label     string
	Generated uint64
	Malformed uint64
	Blocked   uint64
	Failed    map[string]uint64
	Answered  uint64
	Rejected  map[string]uint64
	Expired   uint64
	Inflight  uint64
	Unasked   uint64 // in place of a verdict where no answer is expected
	OnWire    uint64
	Late      uint64
	Duplicate uint64
}

func merge(s inject.LabelCounts, r verify.LabelCounts) account {
	return account{
		Label: s.Name, Generated: s.Generated, Malformed: s.Malformed, Blocked: s.Blocked, Failed: s.Failed,
		Answered: r.Answered, Rejected: r.Rejected, Expired: r.Expired, Inflight: r.Inflight + s.Waiting,
		Unasked: s.Unasked, OnWire: s.OnWire, Late: r.Late, Duplicate: r.Duplicate,
	}
}

func sum(m map[string]uint64) uint64 {
	var n uint64
	for v := range maps.Values(m) {
		n += v
	}
	return n
}

// accounts reads both sides, at rest, and checks the identity.
func (n *network) accounts(tb testing.TB) []account {
	tb.Helper()
	accounts := n.peek(tb)
	for _, a := range accounts {
		n.checkIdentity(tb, a)
	}
	return accounts
}

// peek reads both sides. While packets move, the readings are not of one
// moment, and the identity need not hold.
func (n *network) peek(tb testing.TB) []account {
	tb.Helper()
	sent, err := n.injector.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	received, err := n.verifier.Counts()
	if err != nil {
		tb.Fatal(err)
	}
	accounts := make([]account, len(sent))
	for i, s := range sent {
		accounts[i] = merge(s, received[i])
	}
	return accounts
}

func (n *network) checkIdentity(tb testing.TB, a account) {
	tb.Helper()
	ends := a.Malformed + a.Blocked + sum(a.Failed) + a.Answered + sum(a.Rejected) + a.Expired + a.Inflight + a.Unasked
	if a.Generated != ends {
		tb.Errorf("label %s: %d generated, but the ends sum to %d: %+v", a.Label, a.Generated, ends, a)
	}
}

// success is the account's success rate.
func (a account) success() verify.Success {
	return verify.SuccessOf(a.Answered, a.Generated-a.Inflight)
}

// emptyIsNil compares accounts without regard to empty maps.
var emptyIsNil = cmpopts.EquateEmpty()
