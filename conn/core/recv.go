package core

import (
	"errors"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Apply lets the frame of the last Decode take effect: it changes state, appends answers to the
// output and queues events. now is the present time. An error is a *frame.ConnError, to be handed
// to Fail. Apply answers errors of one stream itself: it appends RST_STREAM and queues EventReset.
// It belongs to the reader, as Decode does, and needs the lock, too.
func (d Driver) Apply(now time.Time) error {
	d.advance(now)
	if d.settings.noOctetYet { // FirstByteTimeout ends, and PrefaceTimeout begins
		d.settings.noOctetYet = false
		d.settings.prefaceDeadline = after(d.now, d.cfg.PrefaceTimeout)
	}
	if !d.dec.isFrame || d.connErr != nil {
		return nil // a piece of the preface
	}
	d.keepalive.lastFrame, d.keepalive.waiting = d.now, false // the peer is there
	d.counts.FramesIn++
	if !d.dec.complete {
		d.SetPartial(nil, now) // a header block of which CONTINUATION is missing
		return nil
	}
	d.dec.complete = false
	d.partial.since = time.Time{} // the frame or header block is complete
	d.haveNow = true
	var err error
	if r := d.dec.refusal; r.refused {
		d.dec.refusal = refusal{}
		err = d.applyRefused(d.dec.header, d.dec.payload, r.code)
	} else {
		err = d.apply(d.dec.header, d.dec.payload)
	}
	if err != nil {
		err = d.handleStreamError(err)
	}
	d.haveNow = false
	return err
}

// apply lets a whole frame, or the last frame of a header block, take effect.
func (c *Conn) apply(h frame.Header, p []byte) error {
	switch h.Type {
	case frame.TypeData:
		if c.cfg.PingInterval > 0 {
			c.resetPingBudget()
		}
		return c.recvData(h, p)
	case frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation: // the last frame of a header block
		if c.cfg.PingInterval > 0 {
			c.resetPingBudget()
		}
		switch b := &c.dec.block; {
		case b.promisedID != 0:
			return c.recvPushPromise(b)
		case c.cfg.Role == Server && c.streams.ids.Idle(b.streamID):
			return c.recvRequest(b)
		default:
			return c.recvHeaders(b)
		}
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

// handleStreamError resets the stream of a *frame.StreamError. Errors of the connection it returns.
func (c *Conn) handleStreamError(err error) error {
	var se *frame.StreamError
	if errors.As(err, &se) {
		return c.streamError(se)
	}
	return err
}

// recvOnClosed judges a frame on a stream that is not in the table: the stream is idle, or closed.
// A frame that may have been sent before our RST_STREAM arrived is ignored, and not charged.
func (c *Conn) recvOnClosed(id uint32, e stream.Event) error {
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

// closedState returns the state of a stream that is not in the table. known is false for a stream
// of the peer of which the record has no entry any more, or which was skipped (RFC 9113 §5.1.1).
// Two kinds of streams count as reset by us, because frames of the peer may be under way: one of
// ours that has no entry any more, and one that the peer has opened after our GOAWAY (RFC 9113
// §6.8).
func (c *Conn) closedState(id uint32) (st stream.State, known bool) {
	if c.streams.ids.Idle(id) {
		return stream.Idle, true
	}
	if c.afterGoAway(id) {
		return stream.ClosedResetLocal, true
	}
	if st, known = c.streams.closed.State(id); !known && c.streams.ids.IsLocal(id) {
		return stream.ClosedResetLocal, true
	}
	return st, known
}
