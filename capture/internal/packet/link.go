package packet

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// Link types that layers does not name (www.tcpdump.org/linktypes.html).
const (
	linkRawBSD     LinkType = 12 // DLT_RAW on most systems
	linkRawOpenBSD LinkType = 14 // DLT_RAW on OpenBSD
	linkPPPEther   LinkType = 51
	linkNFLog      LinkType = 239 // of netfilter
	linkPKTAP      LinkType = 258 // of Darwin, for all interfaces
)

// The types of what is in an Ethernet frame.
const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100 // 802.1Q
	etherQinQ   = 0x88a8 // 802.1ad
	etherQinQ1  = 0x9100 // before 802.1ad
	etherMPLS   = 0x8847
	etherPPPoE  = 0x8864
	etherBridge = 0x6558 // Ethernet in GRE
)

const (
	// maxLinkTypes bounds Stats.LinkTypes.
	maxLinkTypes = 16

	// maxDepth bounds the headers around an IP packet: VLAN tags, MPLS labels, tunnels.
	maxDepth = 16
)

// A decoder finds the TCP segment of a packet.
type decoder struct {
	stats *Stats
	frags fragments
	depth int // headers around the one at hand
}

// decode puts what a packet has into s. It reports whether that is a TCP segment; where not, the
// packet is counted as what it is.
func (d *decoder) decode(rec record, s *Segment) bool {
	d.depth = 0
	return d.linked(rec.link, view{rec.data, rec.length}, s)
}

// linked decodes a packet of a link type.
func (d *decoder) linked(link LinkType, v view, s *Segment) bool {
	switch link {
	case layers.LinkTypeEthernet:
		return d.ethernet(v, s)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return d.loopback(v, s)
	case layers.LinkTypeLinuxSLL:
		return d.cooked(v, s, 16, 14)
	case layers.LinkTypeLinuxSLL2:
		if len(v.p) >= 8 { // the interface of Linux, since that of the file is "any"
			s.Interface = int(v.u32(4) & 0x7fffffff)
		}
		return d.cooked(v, s, 20, 0)
	case linkRawBSD, linkRawOpenBSD, layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return d.ip(v, s)
	case layers.LinkTypePPP:
		return d.ppp(v, s)
	case linkPPPEther:
		return d.pppoe(v, s)
	case linkNFLog:
		return d.nflog(v, s)
	case linkPKTAP:
		return d.pktap(v, s)
	}
	d.unknown(link)
	return false
}

// unknown counts a packet of a link type that is not supported.
func (d *decoder) unknown(l LinkType) {
	d.stats.Unknown++
	if d.stats.LinkTypes == nil {
		d.stats.LinkTypes = map[LinkType]uint64{}
	}
	if _, ok := d.stats.LinkTypes[l]; ok || len(d.stats.LinkTypes) < maxLinkTypes {
		d.stats.LinkTypes[l]++
	}
}

// malformed counts a packet that contradicts itself.
func (d *decoder) malformed() bool {
	d.stats.Malformed++
	return false
}

// notIP counts a packet that has something else than IP.
func (d *decoder) notIP() bool {
	d.stats.NotIP++
	return false
}

// deeper counts a header around an IP packet. It reports whether there may be as many.
func (d *decoder) deeper() bool {
	d.depth++
	return d.depth <= maxDepth
}

// ethernet takes an Ethernet header off: two addresses and a type.
func (d *decoder) ethernet(v view, s *Segment) bool {
	if len(v.p) < 14 {
		return d.malformed()
	}
	t := v.u16(12)
	v.skip(14)
	return d.ether(t, v, s)
}

// ether goes on with what has a type of Ethernet.
func (d *decoder) ether(t uint16, v view, s *Segment) bool {
	for {
		switch t {
		case etherIPv4, etherIPv6:
			return d.ip(v, s)
		case etherVLAN, etherQinQ, etherQinQ1:
			if len(v.p) < 4 || !d.deeper() {
				return d.malformed()
			}
			t = v.u16(2)
			v.skip(4)
		case etherMPLS:
			return d.mpls(v, s)
		case etherPPPoE:
			return d.pppoe(v, s)
		case etherBridge:
			if !d.deeper() {
				return d.malformed()
			}
			return d.ethernet(v, s)
		default:
			return d.notIP()
		}
	}
}

// cooked takes off a header of Linux's cooked captures, of n octets with a type of Ethernet at an
// offset.
func (d *decoder) cooked(v view, s *Segment, n, at int) bool {
	if len(v.p) < n {
		return d.malformed()
	}
	t := v.u16(at)
	v.skip(n)
	return d.ether(t, v, s)
}

// loopback takes off the header of BSD's loopback interfaces: the address family, in the order of
// octets of the machine (NULL), which may be another one, or in network order (LOOP).
func (d *decoder) loopback(v view, s *Segment) bool {
	if len(v.p) < 4 {
		return d.malformed()
	}
	family := v.u32(0)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(v.p)
	}
	v.skip(4)
	switch family {
	case 2, 10, 24, 28, 30: // AF_INET; AF_INET6 of Linux, NetBSD, FreeBSD and Darwin
		return d.ip(v, s)
	}
	return d.notIP()
}

// nflog looks for the packet among the attributes of netfilter's log (LINKTYPE_NFLOG).
func (d *decoder) nflog(v view, s *Segment) bool {
	const payload = 9
	if len(v.p) < 4 {
		return d.malformed()
	}
	v.skip(4)
	for len(v.p) >= 4 {
		n, kind := int(binary.LittleEndian.Uint16(v.p)), binary.LittleEndian.Uint16(v.p[2:])
		if kind&0x7fff == payload && n >= 4 {
			v.limit(n)
			v.skip(4)
			return d.ip(v, s)
		}
		if n < 4 || !v.skip((n+3)&^3) {
			break
		}
	}
	return d.malformed()
}

// pktap takes a header off that says how long it is and what link type follows (LINKTYPE_PKTAP).
func (d *decoder) pktap(v view, s *Segment) bool {
	if len(v.p) < 12 || !d.deeper() {
		return d.malformed()
	}
	n, link := binary.LittleEndian.Uint32(v.p), binary.LittleEndian.Uint32(v.p[8:])
	if n < 12 || n > 1<<16 || !v.skip(int(n)) {
		return d.malformed()
	}
	return d.linked(LinkType(link), v, s)
}

// mpls takes labels off, of which the last one is marked. What follows is known by its version.
func (d *decoder) mpls(v view, s *Segment) bool {
	for {
		if len(v.p) < 4 || !d.deeper() {
			return d.malformed()
		}
		last := v.p[2]&1 != 0
		v.skip(4)
		if last {
			return d.ip(v, s)
		}
	}
}

// pppoe takes the header of a PPPoE session off (RFC 2516 §4).
func (d *decoder) pppoe(v view, s *Segment) bool {
	if len(v.p) < 6 {
		return d.malformed()
	}
	if v.p[1] != 0 { // no session data
		return d.notIP()
	}
	if n := int(v.u16(4)); n <= v.wire-6 {
		v.limit(6 + n)
	}
	v.skip(6)
	return d.ppp(v, s)
}

// ppp takes off the protocol of PPP, behind an address and a control octet or not (RFC 1662 §3.1).
func (d *decoder) ppp(v view, s *Segment) bool {
	if len(v.p) >= 2 && v.p[0] == 0xff && v.p[1] == 3 {
		v.skip(2)
	}
	if len(v.p) < 2 {
		return d.malformed()
	}
	n, protocol := 2, v.u16(0)
	if v.p[0]&1 != 0 { // compressed to one octet
		n, protocol = 1, uint16(v.p[0])
	}
	v.skip(n)
	switch protocol {
	case 0x21, 0x57: // IPv4, IPv6
		return d.ip(v, s)
	}
	return d.notIP()
}
