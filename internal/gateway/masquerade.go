// Package gateway finds out what this machine does with packets that it
// forwards. It changes nothing.
package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// ErrLegacy says that there are rules where they are not read.
var ErrLegacy = errors.New("iptables-legacy has rules in its table nat, which are not read here: say gateway.nat = \"masquerade\" or \"none\"")

// Masquerade looks for the rule by which IPv4 packets that leave through the
// interface get another source address, in nftables and in iptables on top of
// it. It returns the rule's place, such as "table ip nat, chain postrouting",
// or "" where there is none. A rule for only some of the packets counts too.
// It needs CAP_NET_ADMIN.
func Masquerade(wan string, wanIndex int) (string, error) {
	conn, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("open nftables: %w", err)
	}
	chains, err := conn.ListChains()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
		chains, err = nil, nil // a kernel without nftables has no rules there
	}
	if err != nil {
		return "", fmt.Errorf("list nftables chains: %w", err)
	}
	s := search{conn: conn, chains: chains, wan: wan, index: uint32(wanIndex), seen: map[*nftables.Chain]bool{}}
	for _, c := range chains {
		if c.Type != nftables.ChainTypeNAT || c.Hooknum == nil || *c.Hooknum != *nftables.ChainHookPostrouting {
			continue
		}
		if family := c.Table.Family; family != nftables.TableFamilyIPv4 && family != nftables.TableFamilyINet {
			continue
		}
		if place, err := s.chain(c); place != "" || err != nil {
			return place, err
		}
	}
	legacy, err := legacyNAT()
	if err == nil && legacy {
		err = ErrLegacy
	}
	return "", err
}

// search follows chains from where packets leave.
type search struct {
	conn   *nftables.Conn
	chains []*nftables.Chain
	wan    string
	index  uint32
	seen   map[*nftables.Chain]bool
}

// chain looks for a rule in c and in the chains that it jumps to.
func (s *search) chain(c *nftables.Chain) (string, error) {
	if s.seen[c] {
		return "", nil
	}
	s.seen[c] = true
	rules, err := s.conn.GetRules(c.Table, c)
	if err != nil {
		return "", fmt.Errorf("list rules of nftables chain %s: %w", c.Name, err)
	}
	for _, rule := range rules {
		if !s.concernsWAN(rule.Exprs) {
			continue
		}
		for _, e := range rule.Exprs {
			if changesSource(e) {
				return fmt.Sprintf("table %s %s, chain %s", familyName(c.Table.Family), c.Table.Name, c.Name), nil
			}
			jump, ok := e.(*expr.Verdict)
			if !ok || jump.Chain == "" {
				continue
			}
			if place, err := s.named(c.Table, jump.Chain); place != "" || err != nil {
				return place, err
			}
		}
	}
	return "", nil
}

func (s *search) named(table *nftables.Table, name string) (string, error) {
	for _, c := range s.chains {
		if c.Name == name && c.Table.Name == table.Name && c.Table.Family == table.Family {
			return s.chain(c)
		}
	}
	return "", nil
}

// concernsWAN is false for rules about other interfaces that packets leave
// through. What it cannot read, it takes as fulfilled.
func (s *search) concernsWAN(exprs []expr.Any) bool {
	var loaded *expr.Meta
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Meta:
			loaded = e
		case *expr.Cmp:
			if loaded == nil || e.Register != loaded.Register {
				continue
			}
			equal, known := s.isWAN(loaded.Key, e.Data)
			if known && equal != (e.Op == expr.CmpOpEq) {
				return false
			}
			loaded = nil
		default:
			loaded = nil
		}
	}
	return true
}

// isWAN compares what a rule asks of the outgoing interface. A name that is
// not ended by a zero byte is the beginning of names ("wan*").
func (s *search) isWAN(key expr.MetaKey, data []byte) (equal, known bool) {
	switch key {
	case expr.MetaKeyOIFNAME:
		name, _, ended := bytes.Cut(data, []byte{0})
		if ended || len(data) == 16 {
			return string(name) == s.wan, true
		}
		return strings.HasPrefix(s.wan, string(data)), true
	case expr.MetaKeyOIF:
		return len(data) == 4 && binary.NativeEndian.Uint32(data) == s.index, true
	}
	return false, false
}

// changesSource tells the statements that give packets another source.
func changesSource(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Masq:
		return true
	case *expr.NAT:
		return e.Type == expr.NATTypeSourceNAT
	case *expr.Target:
		return e.Name == "MASQUERADE" || e.Name == "SNAT"
	}
	return false
}

func familyName(f nftables.TableFamily) string {
	if f == nftables.TableFamilyINet {
		return "inet"
	}
	return "ip"
}
