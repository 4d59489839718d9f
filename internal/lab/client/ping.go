package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"pacgan-appliance/internal/lab/plan"
)

// protoICMP is ICMP's IP protocol number.
const protoICMP = 1

// ping is one run of ping: an identifier of its own, sequence numbers from 1, data of one of the sizes,
// each request after the answer to the last.
func ping(sizes ...int) Burst {
	return func(ctx context.Context, rng *rand.Rand, from netip.Addr, most int) (made, ok int, err error) {
		conn, id, err := listenPing(rng, from)
		if err != nil {
			return 0, 0, fmt.Errorf("ping from %s: %w", from, err)
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		to, size := pick(rng, plan.PingTargets()), pick(rng, sizes)
		for made < most && ctx.Err() == nil {
			answered, err := echo(conn, to, &icmp.Echo{ID: id, Seq: made + 1, Data: pingData(time.Now(), size)})
			if err != nil {
				return made, ok, fmt.Errorf("ping %s from %s: %w", to, from, err)
			}
			made++
			if answered {
				ok++
			}
		}
		return made, ok, nil
	}
}

// listenPing opens a datagram socket for ICMP, to which the kernel delivers the replies of its own
// identifier only. (A raw socket hears all ICMP of its address: while its owner waits for the
// processor, other clients' replies fill its buffer.) An identifier that is taken is drawn again.
func listenPing(rng *rand.Rand, from netip.Addr) (net.PacketConn, int, error) {
	const flags = unix.SOCK_DGRAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	for {
		fd, err := unix.Socket(unix.AF_INET, flags, unix.IPPROTO_ICMP)
		if err != nil {
			return nil, 0, os.NewSyscallError("socket", err)
		}
		f := os.NewFile(uintptr(fd), "ping")
		id := 1 + rng.IntN(1<<16-1) // 0 asks the kernel to choose
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: id, Addr: from.As4()})
		if err == nil {
			conn, err := net.FilePacketConn(f)
			f.Close()
			return conn, id, err
		}
		f.Close()
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil, 0, os.NewSyscallError("bind", err)
		}
	}
}

// echo sends one request and waits for its reply, not for a late one to an earlier request.
func echo(conn net.PacketConn, to netip.Addr, request *icmp.Echo) (bool, error) {
	b, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: request}).Marshal(nil)
	if err != nil {
		return false, err
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return false, err
	}
	if _, err := conn.WriteTo(b, udpAddr(to, 0)); err != nil {
		return false, err
	}
	buf := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return false, ignore(err)
		}
		if isReply(buf[:n], request) {
			return true, nil
		}
	}
}

func isReply(b []byte, request *icmp.Echo) bool {
	m, err := icmp.ParseMessage(protoICMP, b)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply {
		return false
	}
	reply, ok := m.Body.(*icmp.Echo)
	return ok && reply.ID == request.ID && reply.Seq == request.Seq && bytes.Equal(reply.Data, request.Data)
}

// pingData is iputils' payload: the time as a struct timeval, then bytes that count up from 0x10.
func pingData(now time.Time, size int) []byte {
	const timeval = 16
	b := make([]byte, size)
	binary.LittleEndian.PutUint64(b, uint64(now.Unix()))
	binary.LittleEndian.PutUint64(b[8:], uint64(now.Nanosecond()/1000))
	for i := timeval; i < size; i++ {
		b[i] = byte(i)
	}
	return b
}

// ignore drops an error that only means that no answer came.
func ignore(err error) error {
	if unanswered(err) {
		return nil
	}
	return err
}
