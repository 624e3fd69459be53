package inspect

import (
	"net/netip"

	"github.com/sluice-go/sluice/capture"
)

// event is a capture.Handler. A CONNECT whose tunnel is looked into is the way to the proxy, and
// none of the requests that it passes on.
func (s *exchanges) event(e capture.Event) {
	switch e := e.(type) {
	case *capture.Connection:
		if e.Parent != 0 && len(s.tunnels) < maxLegs {
			if s.tunnels == nil {
				s.tunnels = map[conn]bool{}
			}
			s.tunnels[conn{e.Parent, e.ParentStream}] = true
		}
	case *capture.Request:
		if !s.tunnels[conn{e.Conn, e.Stream}] {
			s.add(e)
		}
	}
}

// twins sorts the requests of one capture by the leg of the proxy that they were seen on.
type twins struct {
	c    *comparison
	side map[uint64]*exchanges // by connection
	legs []leg
	to   map[uint64]netip.AddrPort // servers of legs
	all  passings                  // requests on legs
}

// A leg is a connection that may be one of the two of a proxy that ends TLS: these have nothing in
// common that a capture shows but their requests.
type leg struct {
	id     uint64
	server netip.AddrPort
	nested bool // it is in a tunnel
}

// maxLegs bounds the connections that are kept.
const maxLegs = 1 << 16

// event is a capture.Handler.
func (w *twins) event(e capture.Event) {
	switch e := e.(type) {
	case *capture.Connection:
		w.connection(e)
	case *capture.Request:
		if side := w.side[e.Conn]; side != nil {
			side.add(e)
		}
		if server, ok := w.to[e.Conn]; ok {
			w.all.add(e, server)
		}
	}
}

// connection finds the leg of a connection: the first one of twins is on the client's side, unless
// the capture says otherwise.
func (w *twins) connection(e *capture.Connection) {
	if w.side == nil {
		w.side = map[uint64]*exchanges{}
	}
	if w.side[e.ID] != nil {
		return
	}
	if len(w.legs) < maxLegs && e.Twin == 0 && e.Leg == "" {
		w.legs = append(w.legs, leg{e.ID, e.Server, e.Parent != 0})
		if w.to == nil {
			w.to = map[uint64]netip.AddrPort{}
		}
		w.to[e.ID] = e.Server
	}
	switch {
	case e.Leg == "client":
		w.side[e.ID] = &w.c.a
	case e.Leg == "origin":
		w.side[e.ID] = &w.c.b
	case e.Twin != 0:
		first, second := min(e.ID, e.Twin), max(e.ID, e.Twin)
		w.side[first], w.side[second] = &w.c.a, &w.c.b
	}
}

// found sorts connections that the capture does not call twins. It is nil where they cannot be told
// to be the legs of a proxy.
func (w *twins) found() map[uint64]*exchanges {
	origin := w.all.legs()
	side := w.intercepted(origin)
	if side != nil || len(origin) == 0 {
		return side
	}
	side = map[uint64]*exchanges{}
	for conn, is := range origin {
		side[conn] = &w.c.a
		if is {
			side[conn] = &w.c.b
		}
	}
	return side
}

// intercepted sorts connections as those of a proxy that ends the TLS in its tunnels: the client's
// side is what is in tunnels, the origin's what is neither in one nor a connection to the proxy,
// and of that, where there is such, what has requests that were passed on. It is nil where the
// capture does not have both.
func (w *twins) intercepted(origin map[uint64]bool) map[uint64]*exchanges {
	proxies := map[netip.AddrPort]bool{}
	known := false
	for _, l := range w.legs {
		if l.nested {
			proxies[l.server] = true
		}
		known = known || !l.nested && origin[l.id]
	}
	side := map[uint64]*exchanges{}
	origins := 0
	for _, l := range w.legs {
		switch {
		case l.nested:
			side[l.id] = &w.c.a
		case !proxies[l.server] && (!known || origin[l.id]):
			side[l.id] = &w.c.b
			origins++
		}
	}
	if len(proxies) == 0 || origins == 0 {
		return nil
	}
	return side
}
