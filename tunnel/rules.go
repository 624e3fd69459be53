package tunnel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Rules is a Policy that a file describes; [ParseRules] has the format. The zero Rules, and a nil
// *Rules, let everyone reach port 443 of public addresses.
//
// A name is resolved once, and each of its addresses has to be allowed: a name with one public and
// one private address is refused.
//
// Addresses that are not public are those of the IANA registries of special-purpose addresses,
// such as loopback, private use, link-local and documentation, all of IPv6 outside of 2000::/3, and
// the addresses of this machine's own interfaces. An IPv4 address inside of an IPv6 one
// (IPv4-mapped, or NAT64's 64:ff9b::/96) counts as that IPv4 address.
//
// The fields must not be changed once the Rules are in use.
type Rules struct {
	// Ports are the ports of lines that name none. Default 443.
	Ports Ports

	// AllowPrivate allows addresses that are not public, too, as if each line had the word
	// private. What serves the metadata of clouds (169.254.0.0/16, fe80::/10, 168.63.129.16 and
	// the like) and ways around IPv4 filters (6to4, Teredo, ISATAP, 64:ff9b:1::/48) still need a
	// line that names the network. Unspecified and multicast addresses are never allowed.
	AllowPrivate bool

	name  string
	lines []rule // none in the zero Rules
}

// rule is a line of the file.
type rule struct {
	where   string // such as "policy.txt:12"
	text    string // the line without comment and needless space
	allow   bool
	host    string         // matches this name; "" where network or any is the destination
	below   bool           // matches the names below host
	itself  bool           // matches host itself
	network netip.Prefix   // matches these addresses; the zero Prefix for a name or any
	in      []netip.Prefix // matches addresses in one of these; nil for all
	ports   Ports          // nil where the line names none
	users   []string       // nil for everyone
	private bool           // has the word private
}

func (r *rule) String() string { return r.where + ": " + r.text }

// byAddr reports whether the rule matches by the address.
func (r *rule) byAddr() bool { return r.network.IsValid() || r.in != nil }

// matchTarget reports whether everything of the rule matches that is no matter of the address. The
// reason is why it does not, where no more is missing than that.
func (r *rule) matchTarget(t *Target, defaultPorts Ports) (ok bool, reason string) {
	switch {
	case r.host == "":
	case r.itself && t.Host == r.host:
	case r.below && strings.HasSuffix(t.Host, "."+r.host):
	default:
		return false, ""
	}
	if r.users != nil && !slices.Contains(r.users, t.User) {
		return false, ""
	}
	switch {
	case r.ports != nil && !r.ports.Contains(t.Port), r.ports == nil && r.allow && !defaultPorts.Contains(t.Port):
		ports := r.ports
		if ports == nil {
			ports = defaultPorts
		}
		return false, "for port " + ports.String() + " only"
	}
	return true, ""
}

// matchAddr reports whether the rule matches the address, whose class is given. The reason is why
// an allow rule does not.
func (r *rule) matchAddr(addr netip.Addr, class special) (ok bool, reason string) {
	agreed := reachPublic
	if r.private {
		agreed = reachPrivate
	}
	if r.network.IsValid() {
		if !containsAddr(r.network, addr) {
			return false, ""
		}
		agreed = max(agreed, prefixReach(r.network))
	}
	if r.in != nil {
		i := slices.IndexFunc(r.in, func(p netip.Prefix) bool { return containsAddr(p, addr) })
		if i < 0 {
			if r.host == "" {
				return false, ""
			}
			return false, fmt.Sprintf("%v is not in its networks", addr)
		}
		agreed = max(agreed, prefixReach(r.in[i]))
	}
	if r.allow && class.reach > agreed {
		return false, notPublic(addr, class)
	}
	return true, ""
}

// containsAddr reports whether the network has the address, or the IPv4 address inside of it.
func containsAddr(network netip.Prefix, addr netip.Addr) bool {
	return network.Contains(addr.Unmap()) || network.Contains(canonicalAddr(addr))
}

// notPublic says what an address is that is not public.
func notPublic(addr netip.Addr, class special) string {
	if !class.prefix.IsValid() {
		return fmt.Sprintf("%v is not public: %s", addr, class.use)
	}
	if class.prefix.IsSingleIP() {
		return fmt.Sprintf("%v is not public (%s)", addr, class.use)
	}
	return fmt.Sprintf("%v is not public (%v, %s)", addr, class.prefix, class.use)
}

// CheckTarget decides by name, port and user. Where a line with a network may still decide, it
// allows the target, and CheckAddr decides. Behind an upstream proxy or a Proxy.DialTarget, which
// find the addresses themselves, lines with a network match only targets that are addresses.
func (r *Rules) CheckTarget(_ context.Context, t *Target) Decision {
	return r.decide(t, t.Addr)
}

// CheckAddr decides about an address of the target.
func (r *Rules) CheckAddr(_ context.Context, t *Target, addr netip.Addr) Decision {
	if !addr.IsValid() {
		return Decision{Rule: "no address"}
	}
	return r.decide(t, addr)
}

// decide returns the decision of the first line that matches. With the zero Addr, which is a name
// that has not been resolved, a line that matches by address and allows is taken to match where
// addresses will be found, and one that denies is not.
func (r *Rules) decide(t *Target, addr netip.Addr) Decision {
	if r == nil {
		r = &Rules{}
	}
	var class special
	if addr.IsValid() {
		class = classOf(addr)
	}
	if r.name == "" {
		return r.decideDefault(t, addr, class)
	}
	var near string // the first allow line that nearly matched, and why it did not
	for i := range r.lines {
		line := &r.lines[i]
		ok, reason := line.matchTarget(t, r.ports())
		switch {
		case addr.IsValid() && (ok || reason != ""):
			if addrOK, addrReason := line.matchAddr(addr, r.lower(class)); !addrOK {
				ok, reason = false, addrReason
			}
		case line.byAddr():
			ok, reason = ok && line.allow && t.Upstream == "" && !t.remote, ""
		}
		if ok {
			return Decision{Allow: line.allow, Rule: line.String()}
		}
		if near == "" && line.allow && reason != "" {
			near = fmt.Sprintf("%v: %s", line, reason)
		}
	}
	if near == "" {
		near = r.name + ": no line allows it"
	}
	return Decision{Rule: near}
}

// decideDefault is decide without a file.
func (r *Rules) decideDefault(t *Target, addr netip.Addr, class special) Decision {
	if !r.ports().Contains(t.Port) {
		return Decision{Rule: fmt.Sprintf("default: port %v only", r.ports())}
	}
	if r.lower(class).reach > reachPublic {
		return Decision{Rule: "default: " + notPublic(addr, class)}
	}
	return Decision{Allow: true, Rule: "default"}
}

// lower returns the class with AllowPrivate taken into account.
func (r *Rules) lower(class special) special {
	if r.AllowPrivate && class.reach == reachPrivate {
		class.reach = reachPublic
	}
	return class
}

func (r *Rules) ports() Ports {
	if r.Ports == nil {
		return defaultPorts
	}
	return r.Ports
}

// classOf is classify, with the addresses of this machine as private ones.
func classOf(addr netip.Addr) special {
	class := classify(addr)
	if class.reach == reachPublic && ownAddrs.contains(addr) {
		return special{reach: reachPrivate, use: "an address of the proxy itself"}
	}
	return class
}
