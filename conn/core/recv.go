package core

import (
	"errors"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Apply lets the frame of the last Decode take effect: it changes state, appends answers to the
// output and queues events. now is the present time. An error is a *frame.ConnError, to be handed
// to Fail. Errors of one stream are dealt with here: RST_STREAM is appended and EventReset queued.
func (c *Conn) Apply(now time.Time) error {
	c.tell(now)
	c.life.begun(c.now, &c.cfg)
	if !c.in.whole || c.fatal != nil {
		return nil // a piece of the preface
	}
	c.life.received(c.now)
	c.counts.FramesIn++
	if !c.in.ready {
		return nil // a header block that goes on
	}
	c.in.ready = false
	c.life.partialSince = time.Time{} // what had begun is complete
	c.timed = true
	var err error
	if r := c.in.refused; r.set {
		c.in.refused = refusal{}
		err = c.scope(c.applyRefused(c.in.got, c.in.payload, r.code))
	} else {
		err = c.scope(c.apply(c.in.got, c.in.payload))
	}
	c.timed = false
	return err
}

func (c *Conn) apply(h frame.Header, p []byte) error {
	switch h.Type {
	case frame.TypeData:
		c.renewPings()
		return c.recvData(h, p)
	case frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation: // the last frame of a header block
		c.renewPings()
		if c.in.head.promisedID != 0 {
			return c.recvPushPromise(&c.in.head)
		}
		return c.recvHeaders(&c.in.head)
	case frame.TypePriority:
		return c.recvPriority(h, p)
	case frame.TypeRSTStream:
		return c.recvRSTStream(h, p)
	case frame.TypeSettings:
		return c.recvSettings(h, p)
	case frame.TypePing:
		return c.recvPing(h, p)
	case frame.TypeGoAway:
		return c.recvGoAway(h, p)
	case frame.TypeWindowUpdate:
		return c.recvWindowUpdate(h, p)
	case frame.TypePriorityUpdate:
		return c.recvPriorityUpdate(h, p)
	case frame.TypeAltSvc:
		return c.recvAltSvc(h, p)
	case frame.TypeOrigin:
		return c.recvOrigin(h, p)
	default:
		// Unknown types must be ignored (RFC 9113 §5.5).
		return c.limit.glitch(c.now)
	}
}

// scope deals with the errors of streams and returns those of the connection.
func (c *Conn) scope(err error) error {
	if err == nil {
		return nil
	}
	var se *frame.StreamError
	if errors.As(err, &se) {
		return c.streamError(se)
	}
	return err
}

// streamError ends a stream for a fault of the peer (RFC 9113 §5.4.2).
func (c *Conn) streamError(se *frame.StreamError) error {
	free := c.faultIsFree(se)
	if !free {
		if err := c.limit.fault(c.now); err != nil {
			return err
		}
	}
	c.emit(Event{Kind: EventFault, Err: se})
	if _, open := c.streams.Get(se.StreamID); !open && c.ids.Idle(se.StreamID) {
		// RST_STREAM must not be sent for an idle stream (RFC 9113 §6.4).
		return frame.NewConnError(se.Code, se.Section, se.Reason+", on an idle stream")
	}
	c.endStream(se)
	if free {
		return nil
	}
	return c.limit.control()
}

// endStream sends RST_STREAM for a stream of the table, or for one that was never put there.
func (c *Conn) endStream(se *frame.StreamError) {
	if s, ok := c.streams.Get(se.StreamID); ok {
		c.resetStream(s, se)
	} else if st, _ := c.closed.State(se.StreamID); st != stream.ClosedResetLocal {
		c.closed.Add(se.StreamID, stream.ClosedResetLocal)
		c.appendRSTStream(se.StreamID, se.Code)
	}
}

// maxEarlyRefusals bounds the streams beyond our limit that are refused for nothing while the peer
// may not know it.
const maxEarlyRefusals = 10_000

// faultIsFree reports whether a stream error says nothing against the peer, or costs it a stream
// that was opened by us.
func (c *Conn) faultIsFree(se *frame.StreamError) bool {
	switch {
	case se.Code == frame.RefusedStream && !c.life.settingsAcked:
		if c.limit.earlyRefusals == maxEarlyRefusals {
			return false
		}
		c.limit.earlyRefusals++
		return true
	case c.cfg.Role == Server:
		return false
	case c.ids.IsLocal(se.StreamID):
		_, open := c.streams.Get(se.StreamID)
		return open
	case c.limit.glitchCredit > 0: // as many pushes as a page may have
		c.limit.glitchCredit--
		return true
	}
	return false
}

// onClosed judges a frame on a stream that is not in the table, by how the stream was closed or as
// on an idle one. Nothing is charged for what may have crossed our RST_STREAM.
func (c *Conn) onClosed(id uint32, e stream.Event) error {
	st, known := c.closedState(id)
	if st == stream.ClosedResetLocal {
		return nil
	}
	charge := c.limit.glitch
	if e == stream.RecvWindowUpdate {
		charge = c.limit.windowUpdate
	}
	if err := charge(c.now); err != nil || !known {
		return err
	}
	return st.On(e).Verdict.Err(id, e, st)
}

// closedState returns the state of a stream that is not in the table, and false where the peer's
// stream is forgotten or was skipped (RFC 9113 §5.1.1). A stream of ours that is forgotten counts
// as reset by us, because it may have been and the peer may not know yet; so does one that came
// after our GOAWAY and was never processed (RFC 9113 §6.8).
func (c *Conn) closedState(id uint32) (st stream.State, known bool) {
	if c.ids.Idle(id) {
		return stream.Idle, true
	}
	if c.shutdown.beyond(id, c) {
		return stream.ClosedResetLocal, true
	}
	if st, known = c.closed.State(id); !known && c.ids.IsLocal(id) {
		return stream.ClosedResetLocal, true
	}
	return st, known
}

// step moves s by an event of the peer. A nil error with ok false means that the frame is to be
// ignored.
func (c *Conn) step(s *Stream, e stream.Event) (ok bool, err error) {
	r := s.state.On(e)
	if r.Verdict == stream.Allowed {
		s.state = r.Next
		return true, nil
	}
	return false, r.Verdict.Err(s.ID, e, s.state)
}

func (c *Conn) recvRSTStream(h frame.Header, p []byte) error {
	f, err := frame.ParseRSTStream(h, p)
	if err != nil {
		return err
	}
	c.counts.ResetsIn++
	s, ok := c.streams.Get(f.StreamID)
	if !ok {
		if c.cfg.Role == Server && c.ids.IsLocal(f.StreamID) && !c.ids.Idle(f.StreamID) && c.limit.pushReset(c.now) {
			return nil // a push that was all sent before the client could refuse it
		}
		return c.onClosed(f.StreamID, stream.RecvReset)
	}
	if ok, err := c.step(s, stream.RecvReset); !ok {
		return err
	}
	switch {
	case !c.ids.IsLocal(s.ID):
		c.chargeReset(s)
	case c.cfg.Role == Server:
		c.limit.pushReset(c.now)
	}
	c.emit(Event{Kind: EventReset, Stream: s, Err: &frame.StreamError{
		StreamID: s.ID, Code: f.Code, Initiator: frame.Remote,
	}})
	c.closeStream(s)
	return nil
}

// soonCancelled is the age from which a request that is cancelled is one that somebody has waited
// for. As many streams as may be open at once can be opened and cancelled ten times a second so.
const soonCancelled = 100 * time.Millisecond

// chargeReset charges a RST_STREAM of a client's, unless the request was of use or has had its time
// (CVE-2023-44487). Clients whose users leave, or whose deadlines pass, cancel many requests at
// once, many of them in the very packet that has the request: so nothing but their number tells
// them apart from an attack.
func (c *Conn) chargeReset(s *Stream) {
	free := c.cfg.Role == Client || s.headSent || c.shutdown.forced || c.now.Sub(s.began) >= soonCancelled
	if !free && !c.limit.reset(c.now) {
		c.forceDrain("too_many_resets")
	}
}

func (c *Conn) recvWindowUpdate(h frame.Header, p []byte) error {
	c.counts.WindowUpdatesIn++
	f, err := frame.ParseWindowUpdate(h, p)
	s, open := c.streams.Get(h.StreamID)
	if f.StreamID != 0 && !open { // an increment of 0 is the error of a stream that is there
		return c.onClosed(f.StreamID, stream.RecvWindowUpdate)
	}
	if err != nil {
		return err
	}
	if err := c.limit.windowUpdate(c.now); err != nil {
		return err
	}
	if h.StreamID == 0 {
		if !c.send.Add(f.Increment) {
			return frame.NewConnError(frame.FlowControlError, "RFC 9113 §6.9.1", "connection window above 2^31-1")
		}
		return nil // Fill finds who can go on
	}
	if _, err := c.step(s, stream.RecvWindowUpdate); err != nil {
		return err
	}
	// Also where we have nothing left to send: "A sender MUST NOT allow a flow-control window to
	// exceed 2^31-1 octets."
	if !s.send.Add(f.Increment) {
		return frame.NewStreamError(s.ID, frame.FlowControlError, "RFC 9113 §6.9.1", "stream window above 2^31-1")
	}
	c.wake(s)
	return nil
}
