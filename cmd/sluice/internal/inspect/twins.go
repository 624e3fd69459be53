package inspect

import "github.com/sluice-go/sluice/capture"

// event is a capture.Handler.
func (s *exchanges) event(e capture.Event) {
	if r, ok := e.(*capture.Request); ok {
		s.add(r)
	}
}

// twins sorts the requests of one capture by the leg of the proxy that they were seen on.
type twins struct {
	c    *comparison
	side map[uint64]*exchanges // by connection
}

// event is a capture.Handler.
func (w *twins) event(e capture.Event) {
	switch e := e.(type) {
	case *capture.Connection:
		w.connection(e)
	case *capture.Request:
		if side := w.side[e.Conn]; side != nil {
			side.add(e)
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
