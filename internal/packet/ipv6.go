package packet

import "encoding/binary"

const (
	ipv6HeaderLen    = 40
	fragmentLen      = 8
	maxExtensionHops = 8 // extension headers that a packet may have
)

// Extension headers (RFC 8200, section 4; RFC 4302 for authentication).
const (
	extensionHopByHop       = 0
	extensionRouting        = 43
	extensionFragment       = 44
	extensionAuthentication = 51
	extensionDestination    = 60
)

// extensions are what the headers behind IPv6's fixed one say.
type extensions struct {
	protocol uint8  // of what follows them
	end      int    // where that begins
	fragment uint16 // offset (in bytes) and M flag of a fragment header
	ok       bool   // they are whole, and not too many
}

// extensions follows the chain of headers of a packet of at least 40 bytes.
// Behind the header of a later fragment there are only bytes.
func (p IP) extensions() extensions {
	x := extensions{protocol: p[6], end: ipv6HeaderLen}
	for range maxExtensionHops {
		switch x.protocol {
		case extensionHopByHop, extensionRouting, extensionFragment, extensionAuthentication, extensionDestination:
		default:
			x.ok = true
			return x
		}
		if x.end+fragmentLen > len(p) {
			return x
		}
		kind, header := x.protocol, p[x.end:]
		x.protocol = header[0]
		switch kind {
		case extensionFragment:
			x.end += fragmentLen
			x.fragment = binary.BigEndian.Uint16(header[2:])
		case extensionAuthentication:
			x.end += (int(header[1]) + 2) * 4
		default:
			x.end += (int(header[1]) + 1) * 8
		}
		if x.end > len(p) {
			return x
		}
		if x.fragment&^7 != 0 {
			x.ok = true
			return x
		}
	}
	return x
}

func checkIPv6(b []byte) error {
	if len(b) < ipv6HeaderLen {
		return malformed("%d bytes are shorter than an IPv6 header", len(b))
	}
	p := IP(b)
	if t := p.TotalLen(); t != len(b) {
		return malformed("payload length %d of %d bytes", t-ipv6HeaderLen, len(b)-ipv6HeaderLen)
	}
	if !p.extensions().ok {
		return malformed("IPv6 extension headers are cut, or more than %d", maxExtensionHops)
	}
	return nil
}
