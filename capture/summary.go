package capture

import "strconv"

// A Summary counts what a capture has.
type Summary struct {
	Packets Packets

	HTTP2, HTTP1, Other uint64 // connections, by protocol
	Encrypted           uint64 // of Other: no key was found
	Frames, Requests    uint64
	Stalls              uint64
	Findings            [3]uint64 // by Severity
	Gaps                uint64
	Lost                int64 // octets of HTTP that are missing

	// Evicted counts connections whose End says that they are open since more than
	// Options.MaxConnections were open at once.
	Evicted uint64

	Keys     int // client randoms that there are secrets for
	KeysUsed int // client randoms that have secrets, of connections that are in the capture

	// Problems say in a sentence each what kept a part of the capture from being shown.
	Problems []string
}

// Packets count the packets of a capture.
type Packets struct {
	Total      uint64
	TCP        uint64 // segments
	NotIP      uint64 // ARP and the like
	NotTCP     uint64 // UDP and the like
	Fragments  uint64 // of IP, but for those that completed a segment
	Malformed  uint64 // with headers that are cut off, or that contradict themselves
	Unknown    uint64 // of link types that are not supported
	Cut        uint64 // segments of which the capture has cut off octets
	Incomplete uint64 // IP datagrams of which fragments are missing
	BadBlocks  uint64 // blocks of pcapng that contradict themselves
}

// Connections is the number of all connections.
func (s *Summary) Connections() uint64 { return s.HTTP2 + s.HTTP1 + s.Other }

// count counts an event.
func (s *Summary) count(e Event) {
	switch e := e.(type) {
	case *Connection:
		switch e.Protocol {
		case HTTP2:
			s.HTTP2++
		case HTTP1:
			s.HTTP1++
		default:
			s.Other++
		}
		if e.TLS != nil && e.TLS.Encrypted {
			s.Encrypted++
		}
	case *Frame:
		s.Frames++
	case *Request:
		s.Requests++
	case *Stall:
		s.Stalls++
	case *Finding:
		s.Findings[min(int(e.Severity), len(s.Findings)-1)]++
	case *Gap:
		s.Gaps++
	case *End:
		s.Lost += e.Lost[Client] + e.Lost[Server]
	}
}

// explain says what kept a part of the capture from being shown.
func (s *Summary) explain() {
	p := &s.Packets
	for _, c := range []struct {
		n    uint64
		what string
	}{
		{p.Unknown, "of a link type that is not supported"},
		{p.Malformed, "whose headers are cut off or contradict themselves"},
		{p.Incomplete, "are IP fragments of which others are missing"},
		{p.Cut, "cut off by the capture: take it with a larger snap length (tcpdump -s 0)"},
		{p.BadBlocks, "in blocks of pcapng that contradict themselves"},
	} {
		if c.n > 0 {
			s.problem(countOf(c.n, "packet") + " " + c.what)
		}
	}
	switch {
	case p.Total == 0:
		s.problem("the capture has no packets")
	case p.TCP == 0:
		s.problem("the capture has no TCP")
	case s.Connections() == 0:
		s.problem("the capture has no TCP connection that carries anything")
	}
	if s.Encrypted > 0 && s.Keys == 0 {
		s.problem(countOf(s.Encrypted, "connection") + " encrypted, and there are no keys")
	} else if s.Encrypted > 0 {
		s.problem(countOf(s.Encrypted, "connection") + " encrypted with keys that the key log does not have")
	}
}

func (s *Summary) problem(text string) { s.Problems = append(s.Problems, text) }

// countOf writes a number with what it counts.
func countOf(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatUint(n, 10) + " " + what + "s"
}
