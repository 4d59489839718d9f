package inject_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/inject"
)

// What <linux/netfilter/nf_conntrack_common.h> has and the libraries lack.
const (
	ctaStatus = 3         // CTA_STATUS
	inUse     = 2 | 4 | 8 // IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED: room is not made by dropping it
	newEntry  = 1 << 8    // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
	tableMax  = 1 << 20   // entries: 300 bytes of kernel memory each
)

// TestFullConntrackTable: no new connection passes the gateway, since its
// kernel has no room to track it. What is sent straight to the wire needs none,
// and is answered; what the kernel masquerades expires, is counted, and is
// answered again when there is room.
func TestFullConntrackTable(t *testing.T) {
	if testing.Short() {
		t.Skip("long: fills a table of a quarter of a million, twice")
	}
	const total = 300
	for _, s := range shapes()[:2] {
		t.Run(s.name, func(t *testing.T) {
			n := newShape(t, s, time.Second)
			track := exec.Command("nft", "add table inet tracked; add chain inet tracked pass { type filter hook forward priority 0; }; add rule inet tracked pass ct state invalid counter")
			mustRun(t, track)
			n.mustSay(t, "1 received", "ping", "-n", "-c", "1", "-W", "5", pingServer)
			fillConntrack(t)
			if out, err := n.clients.Command("ping", "-n", "-c", "2", "-W", "1", pingServer).CombinedOutput(); err == nil {
				t.Fatalf("a client's ping passes: the table is not full\n%s", out)
			}
			full := account{Label: "ping", Generated: total, Answered: total, OnWire: total}
			if s.inject.Behind != "" {
				full.Answered, full.Expired = 0, total
			}
			if diff := cmp.Diff(full, n.inject(t, pings(t, total, pingServer), inject.RunOptions{Rate: 500})[ping], emptyIsNil); diff != "" {
				t.Errorf("with a full table (-want +got):\n%s", diff)
			}
			if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
				t.Fatal(err)
			}
			n.mustSay(t, "1 received", "ping", "-n", "-c", "1", "-W", "5", pingServer)
			again := full
			again.Generated, again.OnWire, again.Answered = 2*total, 2*total, full.Answered+total
			if diff := cmp.Diff(again, n.inject(t, pings(t, total, pingServer), inject.RunOptions{Rate: 500})[ping], emptyIsNil); diff != "" {
				t.Errorf("with room again (-want +got):\n%s", diff)
			}
		})
	}
}

// fillConntrack fills the gateway's table with connections of hosts that are
// not there. How many fit is the same for all network namespaces, and is not
// changed; which are in them is each one's own.
func fillConntrack(tb testing.TB) {
	tb.Helper()
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		tb.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	if most > tableMax {
		tb.Skipf("the table takes %d connections: more than a test should fill it with", most)
	}
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		tb.Fatal(err)
	}
	defer unix.Close(s)
	var batch []byte
	for i := range most {
		batch = append(batch, tracked(uint32(i))...)
		if len(batch) < 32<<10 && i < most-1 {
			continue
		}
		if err := unix.Send(s, batch, 0); err != nil {
			tb.Fatal(err)
		}
		batch = batch[:0]
	}
	eventually(tb, "the table is full", func() bool {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			tb.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && n >= most
	})
}

// tracked is the netlink message of a UDP connection in use.
func tracked(i uint32) []byte {
	a, b := []byte{198, 18, 0, 0}, []byte{198, 19, 0, 1}
	binary.BigEndian.PutUint16(a[2:], uint16(i>>8))
	port := binary.BigEndian.AppendUint16(nil, 1024+uint16(i&0xff))
	tuple := func(kind int, src, dst []byte) nl.NetlinkRequestData {
		t := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
		addresses := t.AddRtAttr(nl.CTA_TUPLE_IP|unix.NLA_F_NESTED, nil)
		addresses.AddRtAttr(nl.CTA_IP_V4_SRC, src)
		addresses.AddRtAttr(nl.CTA_IP_V4_DST, dst)
		ports := t.AddRtAttr(nl.CTA_TUPLE_PROTO|unix.NLA_F_NESTED, nil)
		ports.AddRtAttr(nl.CTA_PROTO_NUM, []byte{unix.IPPROTO_UDP})
		ports.AddRtAttr(nl.CTA_PROTO_SRC_PORT, port)
		ports.AddRtAttr(nl.CTA_PROTO_DST_PORT, port)
		return t
	}
	r := nl.NewNetlinkRequest(newEntry, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
	r.AddData(tuple(nl.CTA_TUPLE_ORIG, a, b))
	r.AddData(tuple(nl.CTA_TUPLE_REPLY, b, a))
	r.AddData(nl.NewRtAttr(ctaStatus, binary.BigEndian.AppendUint32(nil, inUse)))
	r.AddData(nl.NewRtAttr(nl.CTA_TIMEOUT, binary.BigEndian.AppendUint32(nil, 600)))
	return r.Serialize()
}
