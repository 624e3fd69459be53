package inspect

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// Bounds of what is kept and compared to find the legs of a proxy by their requests.
const (
	maxPassed       = 100_000  // requests
	maxPassedOctets = 16 << 20 // octets of what names them
	maxPassedAtOnce = 256      // requests of the same name that one is compared with
)

// passed is a request that a proxy may have passed on: it is seen again, on a connection to another
// server, while it is not answered.
type passed struct {
	conn         uint64
	server       netip.AddrPort
	start, until time.Time // until when the other one may begin
	response     time.Time
	inner, outer servers // of requests with the same name within this one, and around it
}

// servers are none, one or several.
type servers struct {
	one  netip.AddrPort
	many bool
}

func (s *servers) add(a netip.AddrPort) {
	if s.one.IsValid() && s.one != a {
		s.many = true
	}
	s.one = a
}

// is reports whether there is one server, and which.
func (s *servers) is(a netip.AddrPort) bool { return !s.many && s.one == a }

// A passings has the requests of a capture by what a proxy does not change: method, authority and
// path.
type passings struct {
	byName map[string][]*passed
	n      int
	octets int
}

// add keeps a request that was sent to a server.
func (p *passings) add(r *capture.Request, server netip.AddrPort) {
	if r.Method == "" || r.Method == "CONNECT" || r.Authority == "" || r.Start.IsZero() || p.n >= maxPassed {
		return
	}
	host := strings.ToLower(r.Authority)
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
	name := r.Method + " " + host + r.Path
	if p.octets += len(name); p.octets > maxPassedOctets {
		return
	}
	if p.byName == nil {
		p.byName = map[string][]*passed{}
	}
	p.n++
	until := r.End
	if !r.Response.IsZero() {
		until = r.Response
	}
	p.byName[name] = append(p.byName[name], &passed{
		conn: r.Conn, server: server, start: r.Start, until: until, response: r.Response,
	})
}

// legs returns the connections whose requests a proxy has passed on, false, and those on which it
// has, true. Where a request may have been passed on to several servers, or have come from several,
// it says nothing; nor does a connection that would be both.
func (p *passings) legs() map[uint64]bool {
	for _, list := range p.byName {
		slices.SortStableFunc(list, func(a, b *passed) int { return a.start.Compare(b.start) })
		for a, b := range nested(list) {
			a.inner.add(b.server)
			b.outer.add(a.server)
		}
	}
	origin, both := map[uint64]bool{}, map[uint64]bool{}
	side := func(conn uint64, is bool) {
		if was, ok := origin[conn]; ok && was != is {
			both[conn] = true
		}
		origin[conn] = is
	}
	for _, list := range p.byName {
		for a, b := range nested(list) {
			if a.inner.is(b.server) && b.outer.is(a.server) {
				side(a.conn, false)
				side(b.conn, true)
			}
		}
	}
	for conn := range both {
		delete(origin, conn)
	}
	return origin
}

// nested yields the requests of a list, which is in order of their beginning, with each that lies
// within them.
func nested(list []*passed) iter.Seq2[*passed, *passed] {
	return func(yield func(a, b *passed) bool) {
		for i, a := range list {
			for _, b := range list[i+1 : min(i+1+maxPassedAtOnce, len(list))] {
				if a.holds(b) && !yield(a, b) {
					return
				}
			}
		}
	}
}

// holds reports whether b, which did not begin before a, may be a passed on: it is sent to another
// server before a is answered, and is answered before a is.
func (a *passed) holds(b *passed) bool {
	return a.conn != b.conn && a.server != b.server && !b.start.After(a.until) &&
		(a.response.IsZero() || !cmp.Or(b.response, a.response).After(a.response))
}
