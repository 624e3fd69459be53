package tunnel

import (
	"fmt"
	"strconv"
	"strings"
)

// Ports is a set of ports.
type Ports []PortRange

// PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

var (
	defaultPorts = Ports{{443, 443}}
	anyPort      = Ports{{1, 65535}}
)

// maxPortRanges bounds the ranges of one Ports in a file.
const maxPortRanges = 1000

// ParsePorts parses a list such as "443,8000-8999", or "any".
func ParsePorts(s string) (Ports, error) {
	if s == "any" {
		return anyPort, nil
	}
	var ports Ports
	for part := range strings.SplitSeq(s, ",") {
		if len(ports) == maxPortRanges {
			return nil, fmt.Errorf("more than %d ranges of ports", maxPortRanges)
		}
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := parsePort(first)
		if err != nil {
			return nil, err
		}
		to, err := parsePort(last)
		if err != nil {
			return nil, err
		}
		if from > to {
			return nil, fmt.Errorf("the range of ports %s ends before it begins", shortQuote(part))
		}
		ports = append(ports, PortRange{from, to})
	}
	return ports, nil
}

// Contains reports whether port is in the set.
func (p Ports) Contains(port uint16) bool {
	for _, r := range p {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

// String returns the set as ParsePorts reads it.
func (p Ports) String() string {
	if len(p) == 1 && p[0] == anyPort[0] {
		return "any"
	}
	var b strings.Builder
	for i, r := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(r.First)))
		if r.First != r.Last {
			b.WriteString("-" + strconv.Itoa(int(r.Last)))
		}
	}
	return b.String()
}
