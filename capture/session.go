package capture

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// analyzer makes events from the octets, or from the frames, of connections.
type analyzer struct {
	opts    Options
	handler Handler
	ids     uint64

	requestsHeld atomic.Int64 // octets of requests that are not over yet, of all connections
}

// A session is a connection that is analyzed.
//
// Each frame takes this way:
//
//  1. frame decodes it (session.go).
//  2. The observers see it, with secrets: the ledger of windows, the requests, the rules.
//  3. Secrets are hidden.
//  4. The Handler gets it; then what the observers have found.
type session struct {
	a         *analyzer
	info      Connection
	frames    uint64
	observers []observer
	ledger    *ledger  // one of observers
	ended     uint64   // requests that were delivered
	queue     []Event  // of observers, delivered behind the frame
	secrets   []string // names of further fields that are hidden, in lower case
}

// observer sees the frames of a session before secrets are hidden.
type observer interface {
	// frame sees a frame. Memory that f points to is valid during the call only.
	frame(f *Frame)

	// lost says that octets were lost; n is -1 where their number is unknown.
	lost(d Dir, t time.Time, n int64)

	// end is the last call.
	end(t time.Time, how wire.How)
}

// contentObserver is an observer that sees the content of messages, too, before the frame that it
// is in.
type contentObserver interface {
	// content has the next octets of DATA on a stream, without padding; lost octets are missing
	// before them.
	content(d Dir, t time.Time, stream uint32, p []byte, lost int64)
}

// open begins a connection.
func (a *analyzer) open(client, server netip.AddrPort, t time.Time) *session {
	a.ids++
	return &session{a: a, info: Connection{ID: a.ids, Time: t, Client: client, Server: server}}
}

// found emits the Connection.
func (s *session) found(p Protocol, how string) {
	s.info.Protocol, s.info.Found = p, how
	if p == HTTP2 {
		s.ledger = newLedger(s)
		s.observers = []observer{s.ledger, newRequests(s), newLint(s)}
	}
	s.a.handler(&s.info)
}

// emit delivers an event of an observer, behind the frame that it is made from.
func (s *session) emit(e Event) { s.queue = append(s.queue, e) }

// deliver has observers see a decoded frame, and delivers it.
func (s *session) deliver(f *Frame) {
	s.frames++
	f.Conn, f.Number = s.info.ID, s.frames
	for _, o := range s.observers {
		o.frame(f)
	}
	s.send(f)
	s.flush()
}

// flush delivers what observers have found.
func (s *session) flush() {
	for i := 0; i < len(s.queue); i++ { // a Handler does not add to it
		s.send(s.queue[i])
	}
	clear(s.queue)
	s.queue = s.queue[:0]
}

// retransmitted says that octets of d were lost on the way and arrived at t, when they were sent
// again, and that those behind them had waited for so long. It comes before or after the frames
// that they complete.
func (s *session) retransmitted(d Dir, t time.Time, waited time.Duration) {
	if s.ledger != nil {
		s.ledger.retransmitted(d, t, waited)
	}
}

// send hides secrets, and calls the Handler.
func (s *session) send(e Event) {
	if !s.a.opts.ShowSecrets {
		hide(e, s.secrets)
	}
	if _, ok := e.(*Request); ok {
		s.ended++
	}
	s.a.handler(e)
}

// frame takes a whole frame, of which missing octets at the end of payload are not there.
func (s *session) frame(d Dir, first, t time.Time, h frame.Header, payload []byte, missing uint32) {
	f := &Frame{First: first, Time: t, Dir: d, Header: h, Missing: missing}
	if missing == 0 {
		f.Parsed, f.Err = frame.Parse(h, payload)
	}
	if data, ok := f.Parsed.(frame.Data); ok {
		for _, o := range s.observers {
			if o, ok := o.(contentObserver); ok {
				o.content(d, t, h.StreamID, data.Data, 0)
			}
		}
	}
	s.deliver(f)
}

// end is the last call for a session.
func (s *session) end(t time.Time, how wire.How) {
	for _, o := range s.observers {
		o.end(t, how)
	}
	s.flush()
	s.a.handler(&End{Conn: s.info.ID, Time: t, Frames: s.frames, Requests: s.ended})
}
