package packet

import "net/netip"

// The protocols above IP that are looked at, the extension headers of IPv6 among them.
const (
	protoHopByHop = 0
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoDest     = 60
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

// The ports of tunnels in UDP: RFC 7348 §5, RFC 8926 §3.3.
const (
	portVXLAN  = 4789
	portGeneve = 6081
)

// addrs are the addresses of an IP packet.
type addrs struct{ src, dst netip.Addr }

// ip decodes an IP packet of the version that it says.
func (d *decoder) ip(v view, s *Segment) bool {
	if len(v.p) == 0 {
		return d.malformed()
	}
	switch v.p[0] >> 4 {
	case 4:
		return d.ipv4(v, s)
	case 6:
		return d.ipv6(v, s)
	}
	return d.malformed()
}

// ipv4 takes an IPv4 header off (RFC 791 §3.1).
func (d *decoder) ipv4(v view, s *Segment) bool {
	if len(v.p) < 20 {
		return d.malformed()
	}
	header, total := int(v.p[0]&15)*4, int(v.u16(2))
	if total == 0 { // captured before segmentation offload, and too long for the field
		total = v.wire
	}
	if header < 20 || total < header {
		return d.malformed()
	}
	a := addrs{v.addr4(12), v.addr4(16)}
	id, frag, protocol := uint32(v.u16(4)), v.u16(6), v.p[9]
	v.limit(total)
	if !v.skip(header) {
		return d.malformed()
	}
	if frag&0x3fff != 0 {
		part := fragment{at: int(frag&0x1fff) * 8, more: frag&0x2000 != 0, data: v}
		return d.fragment(datagram{a, id, protocol}, part, s)
	}
	return d.above(protocol, a, v, s)
}

// ipv6 takes an IPv6 header off (RFC 8200 §3).
func (d *decoder) ipv6(v view, s *Segment) bool {
	if len(v.p) < 40 {
		return d.malformed()
	}
	n, next := int(v.u16(4)), v.p[6]
	a := addrs{v.addr16(8), v.addr16(24)}
	v.skip(40)
	if n > 0 { // 0 is a jumbogram, or one captured before segmentation offload
		v.limit(n)
	}
	return d.extensions(next, a, v, s)
}

// extensions takes the extension headers of IPv6 off (RFC 8200 §4).
func (d *decoder) extensions(next byte, a addrs, v view, s *Segment) bool {
	for {
		n := 0
		switch next {
		case protoHopByHop, protoRouting, protoDest, protoMobility, protoHIP, protoShim6:
			if len(v.p) >= 2 {
				n = 8 + int(v.p[1])*8
			}
		case protoAH:
			if len(v.p) >= 2 {
				n = 8 + int(v.p[1])*4
			}
		case protoFragment:
			return d.fragment6(a, v, s)
		default:
			return d.above(next, a, v, s)
		}
		if n == 0 || n > len(v.p) {
			return d.malformed()
		}
		next = v.p[0]
		v.skip(n)
	}
}

// fragment6 takes a fragment header off (RFC 8200 §4.5).
func (d *decoder) fragment6(a addrs, v view, s *Segment) bool {
	if len(v.p) < 8 || !d.deeper() {
		return d.malformed()
	}
	next, offset, id := v.p[0], v.u16(2), v.u32(4)
	v.skip(8)
	part := fragment{at: int(offset &^ 7), more: offset&1 != 0, data: v}
	if part.at == 0 && !part.more { // atomic (RFC 6946)
		return d.extensions(next, a, v, s)
	}
	return d.fragment(datagram{a, id, next}, part, s)
}

// above goes on with what an IP packet has.
func (d *decoder) above(protocol byte, a addrs, v view, s *Segment) bool {
	switch protocol {
	case protoTCP:
		return d.tcp(a, v, s)
	case protoIPv4, protoIPv6:
		if !d.deeper() {
			return d.malformed()
		}
		return d.ip(v, s)
	case protoGRE:
		return d.gre(v, s)
	case protoUDP:
		return d.udp(v, s)
	case protoHopByHop, protoRouting, protoDest, protoAH: // behind fragments
		if !a.src.Is4() && d.deeper() {
			return d.extensions(protocol, a, v, s)
		}
	}
	d.stats.NotTCP++
	return false
}

// gre takes a GRE header off (RFC 2784, RFC 2890).
func (d *decoder) gre(v view, s *Segment) bool {
	if len(v.p) < 4 || !d.deeper() {
		return d.malformed()
	}
	flags, t := v.u16(0), v.u16(2)
	if flags&0x4fff != 0 { // another version, or with a route
		d.stats.NotTCP++
		return false
	}
	n := 4
	for _, option := range []uint16{0x8000, 0x2000, 0x1000} { // checksum, key, sequence number
		if flags&option != 0 {
			n += 4
		}
	}
	if !v.skip(n) {
		return d.malformed()
	}
	return d.ether(t, v, s)
}

// udp looks for the headers of VXLAN (RFC 7348 §5) and Geneve (RFC 8926 §3.4).
func (d *decoder) udp(v view, s *Segment) bool {
	const header = 8
	if len(v.p) >= header+8 && d.deeper() {
		switch port, first := v.u16(2), v.u32(header); {
		case port == portVXLAN && first == 0x08000000 && v.p[15] == 0:
			v.skip(header + 8)
			return d.ethernet(v, s)
		case port == portGeneve && first>>30 == 0 && v.p[15] == 0:
			protocol := v.u16(header + 2)
			if v.skip(header + 8 + int(first>>24)*4) {
				return d.ether(protocol, v, s)
			}
		}
	}
	d.stats.NotTCP++
	return false
}

// tcp decodes a TCP segment (RFC 9293 §3.1). Its options may be cut off.
func (d *decoder) tcp(a addrs, v view, s *Segment) bool {
	if len(v.p) < 16 {
		return d.malformed()
	}
	header := int(v.p[12]>>4) * 4
	if header < 20 || header > v.wire {
		return d.malformed()
	}
	s.Src, s.Dst = netip.AddrPortFrom(a.src, v.u16(0)), netip.AddrPortFrom(a.dst, v.u16(2))
	s.Seq, s.Ack, s.Window = v.u32(4), v.u32(8), v.u16(14)
	flags := v.p[13]
	s.FIN, s.SYN, s.RST, s.ACK = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&16 != 0
	payload := v.wire - header
	if v.skip(header) {
		s.Payload = v.p
	}
	s.Cut = payload - len(s.Payload)
	return true
}
