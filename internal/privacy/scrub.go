package privacy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"pacgan-appliance/internal/packet"
)

// Mode is what is stored of payloads.
type Mode string

// The modes.
const (
	Keep     Mode = "keep"     // all
	Truncate Mode = "truncate" // headers alone: the packet ends with the last of them
	Hash     Mode = "hash"     // all, with secrets replaced by others of the same form
)

// Scrubber takes other people's secrets out of captured packets. It is for one
// goroutine.
type Scrubber struct {
	mode Mode
	mac  hash.Hash // with a key that nobody else knows and that ends with the process
	sum  []byte
	buf  []byte
}

// NewScrubber makes a scrubber with a key of its own.
func NewScrubber(mode Mode) (*Scrubber, error) {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("key to hash payloads with: %w", err)
	}
	return &Scrubber{mode: mode, mac: hmac.New(sha256.New, key)}, nil
}

// Scrub returns the frame as it may be stored: the frame itself, or a copy that
// is valid until the next call. What is no whole IP packet has its bytes behind
// the Ethernet header zeroed unless all is kept: nobody knows what is in it.
func (s *Scrubber) Scrub(frame []byte) []byte {
	if s.mode == Keep {
		return frame
	}
	s.buf = append(s.buf[:0], frame...)
	ip, err := packet.IPOf(s.buf)
	if err != nil {
		clear(s.buf[min(len(s.buf), packet.EthernetHeaderLen):])
		return s.buf
	}
	p, err := packet.ParseIP(ip)
	if err != nil {
		clear(ip)
		return s.buf
	}
	if s.mode == Truncate {
		return s.truncate(p)
	}
	payload, dns := payloadOf(p)
	if !dns { // a question without its name asks nothing
		for _, found := range secretsIn(payload, false) {
			if found.kind != KindName {
				s.disguise(payload[found.from:found.to])
			}
		}
		_ = packet.RepairChecksums(p) // of a fragment nobody can
	}
	return s.buf
}

// disguise replaces letters by letters and digits by digits, the same ones for
// the same word. What overlaps may be disguised twice, which harms nobody.
func (s *Scrubber) disguise(word []byte) {
	s.mac.Reset()
	s.mac.Write(word)
	s.sum = s.mac.Sum(s.sum[:0])
	for i, c := range word {
		if i > 0 && i%len(s.sum) == 0 { // a long word: the sum of the sum
			s.mac.Reset()
			s.mac.Write(s.sum)
			s.sum = s.mac.Sum(s.sum[:0])
		}
		n := s.sum[i%len(s.sum)]
		switch {
		case c >= '0' && c <= '9':
			word[i] = '0' + n%10
		case c >= 'a' && c <= 'z':
			word[i] = 'a' + n%26
		case c >= 'A' && c <= 'Z':
			word[i] = 'A' + n%26
		case c >= 0x80:
			word[i] = 0x80 | n
		}
	}
}

// truncate ends the packet behind its last header, and has its lengths say so.
func (s *Scrubber) truncate(p packet.IP) []byte {
	payload, _ := payloadOf(p)
	if p.FragmentOffset() != 0 {
		payload = p.Payload()
	}
	cut := len(payload)
	if cut == 0 {
		return s.buf
	}
	begin := cap(s.buf) - cap(p) // where the packet stands in the frame
	kept := len(p) - cut
	if p.Version() == 4 {
		binary.BigEndian.PutUint16(p[2:], uint16(kept))
	} else {
		binary.BigEndian.PutUint16(p[4:], uint16(kept-40))
	}
	if p.Protocol() == packet.ProtoUDP && p.FragmentOffset() == 0 {
		binary.BigEndian.PutUint16(p.Payload()[4:], uint16(len(p.Payload())-cut))
	}
	s.buf = s.buf[:begin+kept]
	_ = packet.RepairChecksums(s.buf[begin:])
	return s.buf
}
