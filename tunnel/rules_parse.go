package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Bounds of a file of rules, so that the wrong file is an error and no outage.
const (
	maxRules    = 100_000
	maxRuleLine = 64 << 10
)

// ParseRules reads rules from r; name is that of the file, for messages. The first line that
// matches decides; what no line matches is refused. A line is
//
//	allow|deny DESTINATION [port LIST] [user LIST] [in NETWORKS] [private]   # comment
//
// with these destinations:
//
//	any               everything
//	www.example.com   this name
//	.example.com      this name and all below it
//	*.example.com     all names below it
//	10.1.0.0/16       addresses of this network, also where a name leads to them
//	192.0.2.1         this address; IPv6 with or without brackets
//
// and these conditions, all of which have to match:
//
//	port 443,8000-8999   ports, or any. An allow line without it is for Rules.Ports (443), a
//	                     deny line for every port.
//	user anna,ci         users that Proxy.Auth has found. A line without it is for everyone.
//	in 10.1.0.0/16,...   networks in which the address is.
//	private              the allow line is also for addresses that are not public.
//
// An allow line is for public addresses only, unless it says private, or names (as destination or
// with in) an address or a network that is not public itself, such as 10.1.0.0/16. So a name inside
// is opened by
//
//	allow git.example.com in 10.1.0.0/16
//
// Names match without regard to case and a dot at the end, and IDNA names in either form. An error
// has the name of the file and the line, such as "policy.txt:12: ...".
func ParseRules(r io.Reader, name string) (*Rules, error) {
	rules := &Rules{name: name, lines: []rule{}}
	if name == "" {
		rules.name = "policy"
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxRuleLine)
	number := 0
	for sc.Scan() {
		number++
		where := fmt.Sprintf("%s:%d", rules.name, number)
		line, err := parseRule(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if err == nil && line != nil && len(rules.lines) == maxRules {
			err = fmt.Errorf("more than %d rules", maxRules)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if line != nil {
			line.where = where
			rules.lines = append(rules.lines, *line)
		}
	}
	if err := sc.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line has more than %d octets", maxRuleLine)
		}
		return nil, fmt.Errorf("%s:%d: %w", rules.name, number+1, err)
	}
	return rules, nil
}

// parseRule parses a line. The rule is nil where the line has none.
func parseRule(text string) (*rule, error) {
	text, _, _ = strings.Cut(text, "#")
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, nil
	}
	line := &rule{text: strings.Join(words, " ")}
	switch words[0] {
	case "allow":
		line.allow = true
	case "deny":
	default:
		return nil, fmt.Errorf("a line begins with allow or deny, not with %s", shortQuote(words[0]))
	}
	if len(words) == 1 {
		return nil, fmt.Errorf("%s needs a destination: any, a name, .suffix, an address or a network", words[0])
	}
	if err := line.setDestination(words[1]); err != nil {
		return nil, err
	}
	return line, line.setConditions(words[2:])
}

// setDestination sets host or network from the second word of a line.
func (r *rule) setDestination(s string) error {
	if s == "any" {
		return nil
	}
	if network, err := parseNetwork(s); err == nil {
		r.network = network
		return nil
	} else if strings.ContainsAny(s, "/[:") {
		if t, targetErr := parseAuthority(s, 0); targetErr == nil {
			return fmt.Errorf("%s is no destination: write %s port %d", shortQuote(s), t.Host, t.Port)
		}
		return err
	}
	name, isSuffix := strings.CutPrefix(s, ".")
	name, isBelow := strings.CutPrefix(name, "*.")
	host, addr, err := canonicalHost(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s is no destination: %w", shortQuote(s), err)
	case addr.IsValid():
		return fmt.Errorf("%s is no destination: an address has no names below it", shortQuote(s))
	case isSuffix && isBelow:
		return fmt.Errorf("%s is no destination: write .%s or *.%s", shortQuote(s), host, host)
	}
	r.host, r.below, r.itself = host, isSuffix || isBelow, !isBelow
	return nil
}

// setConditions sets ports, users, in and private from the words behind the destination.
func (r *rule) setConditions(words []string) (err error) {
	seen := make(map[string]bool)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if seen[word] {
			return fmt.Errorf("%s is there twice; write a list with commas", word)
		}
		seen[word] = true
		if word == "private" {
			if !r.allow {
				return errors.New("private is for allow lines; a deny line is for all addresses")
			}
			r.private = true
			continue
		}
		if word != "port" && word != "user" && word != "in" {
			return fmt.Errorf("%s is none of port, user, in and private", shortQuote(word))
		}
		if len(words) == 0 {
			return fmt.Errorf("%s needs a list", word)
		}
		switch word {
		case "port":
			r.ports, err = ParsePorts(words[0])
		case "user":
			r.users, err = parseUsers(words[0])
		case "in":
			err = r.setNetworks(words[0])
		}
		if err != nil {
			return err
		}
		words = words[1:]
	}
	return nil
}

func parseUsers(s string) ([]string, error) {
	users := strings.Split(s, ",")
	for _, u := range users {
		if u == "" {
			return nil, fmt.Errorf("the list of users %s has an empty name", shortQuote(s))
		}
	}
	return users, nil
}

// setNetworks sets in.
func (r *rule) setNetworks(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		network, err := parseNetwork(part)
		if err != nil {
			return err
		}
		r.in = append(r.in, network)
	}
	return nil
}

// parseNetwork parses an address or a network in CIDR notation, an IPv6 address also in brackets.
func parseNetwork(s string) (netip.Prefix, error) {
	if strings.HasPrefix(s, "[") {
		_, addr, err := bracketedHost(s)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%s is no address: %w", shortQuote(s), err)
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%s is no address and no network such as 192.0.2.0/24", shortQuote(s))
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if masked := network.Masked(); masked != network {
		return netip.Prefix{}, fmt.Errorf("%s has bits behind the length: write %v or %v/%d",
			shortQuote(s), masked, network.Addr(), network.Addr().BitLen())
	}
	if inner := canonicalAddr(network.Addr()); inner.Is4() && network.Addr().Is6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(inner, network.Bits()-96)
	}
	return network, nil
}
