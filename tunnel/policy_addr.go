package tunnel

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// A reach says to what a rule has to agree before an address is dialled.
type reach uint8

const (
	reachPublic  reach = iota
	reachPrivate       // needs Rules.AllowPrivate, "private", or a line that names the network
	reachNamed         // needs a line that names the network
	reachNever         // no address of one host
)

// special is a block of addresses that are not public.
type special struct {
	prefix netip.Prefix
	reach  reach
	use    string // for messages
}

// specials are the blocks of the IANA registries of special-purpose addresses, and the addresses at
// which clouds give credentials to their machines, the narrower ones first. IPv6 outside of
// 2000::/3 needs no row to be refused.
var specials = []special{
	{netip.MustParsePrefix("0.0.0.0/32"), reachNever, "unspecified"},
	{netip.MustParsePrefix("255.255.255.255/32"), reachNever, "broadcast"},
	{netip.MustParsePrefix("224.0.0.0/4"), reachNever, "multicast"},
	{netip.MustParsePrefix("169.254.0.0/16"), reachNamed, "link-local, metadata of clouds"},
	{netip.MustParsePrefix("100.100.100.200/32"), reachNamed, "metadata of a cloud"},
	{netip.MustParsePrefix("168.63.129.16/32"), reachNamed, "metadata of a cloud"},
	{netip.MustParsePrefix("192.0.0.192/32"), reachNamed, "metadata of a cloud"},
	{netip.MustParsePrefix("0.0.0.0/8"), reachPrivate, "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), reachPrivate, "private use"},
	{netip.MustParsePrefix("100.64.0.0/10"), reachPrivate, "shared address space of providers"},
	{netip.MustParsePrefix("127.0.0.0/8"), reachPrivate, "loopback"},
	{netip.MustParsePrefix("172.16.0.0/12"), reachPrivate, "private use"},
	{netip.MustParsePrefix("192.0.0.0/24"), reachPrivate, "IETF protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), reachPrivate, "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), reachPrivate, "6to4 relays"},
	{netip.MustParsePrefix("192.168.0.0/16"), reachPrivate, "private use"},
	{netip.MustParsePrefix("198.18.0.0/15"), reachPrivate, "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), reachPrivate, "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), reachPrivate, "documentation"},
	{netip.MustParsePrefix("240.0.0.0/4"), reachPrivate, "reserved"},

	{netip.MustParsePrefix("::/128"), reachNever, "unspecified"},
	{netip.MustParsePrefix("ff00::/8"), reachNever, "multicast"},
	{netip.MustParsePrefix("fd00:ec2::/32"), reachNamed, "metadata of a cloud"},
	{netip.MustParsePrefix("fd20:ce::/32"), reachNamed, "metadata of a cloud"},
	{netip.MustParsePrefix("fe80::/10"), reachNamed, "link-local"},
	{netip.MustParsePrefix("::1/128"), reachPrivate, "loopback"},
	{netip.MustParsePrefix("::/96"), reachNamed, "IPv4-compatible"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), reachNamed, "local translation to IPv4"},
	{netip.MustParsePrefix("100::/64"), reachPrivate, "discard"},
	{netip.MustParsePrefix("5f00::/16"), reachPrivate, "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), reachPrivate, "unique local"},
	{netip.MustParsePrefix("fec0::/10"), reachPrivate, "site-local"},
	{netip.MustParsePrefix("2001::/32"), reachNamed, "Teredo"},
	{netip.MustParsePrefix("2001::/23"), reachPrivate, "IETF protocol assignments"},
	{netip.MustParsePrefix("2001:db8::/32"), reachPrivate, "documentation"},
	{netip.MustParsePrefix("2002::/16"), reachNamed, "6to4"},
	{netip.MustParsePrefix("3fff::/20"), reachPrivate, "documentation"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	wellKnown64   = netip.MustParsePrefix("64:ff9b::/96") // NAT64, RFC 6052 §2.1
)

// canonicalAddr returns addr without an IPv4-mapped form or NAT64's well-known prefix around it:
// the address that the packets reach.
func canonicalAddr(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Zone() == "" && wellKnown64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}

// classify returns what a rule needs to reach addr, and the block that says so with its use. For
// public addresses the block is the zero Prefix.
func classify(addr netip.Addr) special {
	addr = canonicalAddr(addr)
	if !addr.IsValid() {
		return special{reach: reachNever, use: "no address"}
	}
	if addr.Zone() != "" {
		return special{netip.PrefixFrom(addr.WithZone(""), 128), reachNever, "an address with a zone"}
	}
	for _, s := range specials {
		if s.prefix.Contains(addr) {
			return s
		}
	}
	if addr.Is4() {
		return special{}
	}
	if !globalUnicast.Contains(addr) {
		return special{netip.PrefixFrom(addr, 128), reachPrivate, "not global unicast"}
	}
	// ISATAP (RFC 5214 §6.1) has an IPv4 address behind 00-00-5e-fe or 02-00-5e-fe.
	if b := addr.As16(); b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		return special{netip.PrefixFrom(addr, 128), reachNamed, "ISATAP"}
	}
	return special{}
}

// prefixReach returns the reach that a line agrees to by naming a network. One that is wholly in a
// block that is not public agrees to that block, and a single address to itself; any other agrees
// to public addresses.
func prefixReach(network netip.Prefix) reach {
	if network.IsSingleIP() {
		return reachNamed
	}
	for _, s := range specials {
		if s.prefix.Bits() <= network.Bits() && s.prefix.Contains(network.Addr()) {
			return min(s.reach, reachNamed)
		}
	}
	return reachPublic
}

// hostAddrs are the addresses of the interfaces of this machine. Services that listen on them often
// take a connection from the machine itself for a trusted one, so that they count as not public.
type hostAddrs struct {
	read  func() []netip.Addr
	mu    sync.Mutex // guards what follows
	until time.Time
	addrs []netip.Addr
}

// hostAddrsAge is how long the addresses that were read are used.
const hostAddrsAge = 10 * time.Second

var ownAddrs = hostAddrs{read: interfaceAddrs}

// contains reports whether addr is one of an interface of this machine.
func (h *hostAddrs) contains(addr netip.Addr) bool {
	addr = canonicalAddr(addr)
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); !now.Before(h.until) {
		h.addrs, h.until = h.read(), now.Add(hostAddrsAge)
	}
	for _, own := range h.addrs {
		if own == addr {
			return true
		}
	}
	return false
}

func interfaceAddrs() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	addrs := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}
