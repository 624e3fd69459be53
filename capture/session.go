package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// A session is a connection that is analyzed: from octets, as a wire.Sink, or from frames.
//
// Octets go to a stage: the finder (found.go) until the protocol is known, then a reader of frames
// (frames.go) or of HTTP/1.1 (http1.go). Each frame takes this way:
//
//  1. whole, or dataFrame where DATA has come in pieces, decodes it (decode.go).
//  2. The observers see it, with secrets: the ledger of windows, the requests, the rules.
//  3. Secrets are hidden.
//  4. The Handler gets it; then what the observers have found.
type session struct {
	a         *analyzer
	info      Connection
	noSYN     bool // the SYN of the connection is not in the capture
	frames    uint64
	observers []observer
	ledger    *ledger  // one of observers
	lint      *lint    // one of observers
	tunnels   *tunnels // one of observers, or nil
	ended     uint64   // requests that were delivered
	queue     []Event  // of observers, delivered behind the frame
	secrets   []string // names of further fields that are hidden, in lower case

	depth      int        // of tunnels that it is in
	target     string     // of the CONNECT that it is in
	stage      wire.Sink  // takes the octets
	plain      *plaintext // what is in TLS; nil without
	known      bool       // the protocol was found: found was called
	sides      [2]*side   // by Dir; of HTTP/2
	cur        Frame      // the frame that is decoded
	data       [2]dataCache
	lastID     uint32   // the highest stream identifier that was seen
	octets     [2]int64 // by Dir, for End
	missed     [2]int64 // by Dir: octets that are missing, for End
	unreported unreported
	turned     wire.Dir // 1 where the sides have changed places (sides.go)
	closed     [2]bool  // by Dir: the direction has ended
	how        wire.How // the worse of the two ends
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

// Octets implements wire.Sink.
func (s *session) Octets(d wire.Dir, t time.Time, p []byte) {
	d ^= s.turned
	if s.plain == nil {
		s.octets[d] += int64(len(p))
	}
	s.stage.Octets(d, t, p)
}

// Lost implements wire.Sink.
func (s *session) Lost(d wire.Dir, t time.Time, n int64, why string) {
	d ^= s.turned
	s.unreported.add(s, Dir(d), t, n, why)
	s.stage.Lost(d, t, n, why)
}

// End implements wire.Sink. The session ends with the second direction.
func (s *session) End(d wire.Dir, t time.Time, how wire.How) {
	d ^= s.turned
	if s.closed[d] {
		return
	}
	s.closed[d] = true
	s.stage.End(d, t, how)
	if s.how = worse(s.how, how, s.closed[d.Other()]); s.closed[d.Other()] {
		s.end(t, s.how)
	}
}

// worse returns how a connection has ended one direction of which has ended as given; second says
// that the other one has ended as had.
func worse(had, how wire.How, second bool) wire.How {
	switch {
	case !second:
		return how
	case had == wire.Reset || how == wire.Reset:
		return wire.Reset
	default:
		return min(had, how)
	}
}

// upgradeObserver is an observer that needs to know of an Upgrade to h2c (RFC 7540 §3.2).
type upgradeObserver interface {
	// upgrade has the request that becomes stream 1.
	upgrade(r *Request)
}

// upgradeSettingsObserver is one that needs the client's settings in it.
type upgradeSettingsObserver interface {
	// upgradeSettings has those of the HTTP2-Settings field, which are in force at once.
	upgradeSettings(f frame.Settings)
}

// setStage sets what takes the octets from now on, those within TLS or those of the connection.
func (s *session) setStage(inTLS bool, next wire.Sink) {
	if inTLS {
		s.plain.to = next
	} else {
		s.stage = next
	}
}

// found emits the Connection.
func (s *session) found(p Protocol, how string) {
	s.info.Protocol, s.info.Found, s.known = p, how, true
	s.findTLSTwin()
	if p == HTTP2 {
		for d := range s.sides {
			s.sides[d] = newSide(s.a, s.info.StartMissing)
		}
		s.ledger, s.lint = newLedger(s), newLint(s)
		s.observers = []observer{s.ledger, newRequests(s), s.lint}
		if s.a.twins != nil {
			s.tunnels = newTunnels(s)
			s.observers = append(s.observers, s.tunnels)
		}
	}
	s.a.handler(&s.info)
	if s.plain != nil {
		s.plain.deliver()
	}
}

// startMissing reports whether the first frames of a side may not be in the capture. Where that
// begins with the preface of the client, the server may have sent SETTINGS before.
func (s *session) startMissing(d Dir) bool {
	return s.info.StartMissing || d == Server && s.noSYN && s.info.TLS == nil
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

// gap delivers a Gap, behind which frames may be missing.
func (s *session) gap(g *Gap) {
	s.send(g)
	if s.lint == nil {
		return
	}
	if g.Octets < 0 || g.Skipped > 0 {
		s.ledger.lostFrames(g.Dir)
		s.lint.lostFrames(g.Dir)
	}
	s.lint.gap(g)
	s.flush()
}

// send hides secrets, and calls the Handler.
func (s *session) send(e Event) {
	if !s.a.opts.ShowSecrets {
		hide(e, s.secrets)
	}
	switch e := e.(type) {
	case *Request:
		s.ended++
	case *Gap:
		s.unreported[e.Dir] = nil
	}
	s.a.handler(e)
}

// end is the last call for a session.
func (s *session) end(t time.Time, how wire.How) {
	if s.plain != nil && s.known {
		s.unreported.report(s)
	}
	for _, o := range s.observers {
		o.end(t, how)
	}
	s.flush()
	if s.depth > 0 {
		s.a.nested--
	}
	for _, b := range s.sides {
		if b != nil {
			b.close()
		}
	}
	s.a.handler(&End{
		Conn: s.info.ID, Time: t, How: howText(how), Frames: s.frames, Requests: s.ended,
		Octets: s.octets, Lost: s.missed,
	})
}

func howText(how wire.How) string {
	switch how {
	case wire.Closed:
		return "closed"
	case wire.Reset:
		return "reset"
	default:
		return "open"
	}
}

// lost says that n octets of a direction of HTTP are missing; -1 is an unknown number.
func (s *session) lost(d Dir, t time.Time, n int64) {
	if n > 0 {
		s.missed[d] += n
	}
	for _, o := range s.observers {
		o.lost(d, t, n)
	}
	s.flush()
}

// dataCache has the last Parsed of DATA, so that not every frame needs memory of its own.
type dataCache struct {
	last   frame.Data
	parsed frame.Frame
}

func (c *dataCache) frame(f frame.Data) frame.Frame {
	l := &c.last
	if c.parsed == nil || l.StreamID != f.StreamID || l.EndStream != f.EndStream || l.Padded != f.Padded ||
		l.PadLength != f.PadLength {
		c.last, c.parsed = f, f
	}
	return c.parsed
}
