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
	d.settings.octetsReceived(d.now, &d.cfg)
	if !d.dec.isFrame || d.connErr != nil {
		return nil // a piece of the preface
	}
	d.keepalive.frameReceived(d.now)
	d.counts.FramesIn++
	if !d.dec.complete {
		return nil // a header block of which CONTINUATION is missing
	}
	d.dec.complete = false
	d.partial.since = time.Time{} // the frame or header block is complete
	d.haveNow = true
	var err error
	if r := d.dec.refusal; r.refused {
		d.dec.refusal = refusal{}
		err = d.handleStreamError(d.applyRefused(d.dec.header, d.dec.payload, r.code))
	} else {
		err = d.handleStreamError(d.apply(d.dec.header, d.dec.payload))
	}
	d.haveNow = false
	return err
}

func (c *Conn) apply(h frame.Header, p []byte) error {
	switch h.Type {
	case frame.TypeData:
		c.resetPingBudget()
		return c.recvData(h, p)
	case frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation: // the last frame of a header block
		c.resetPingBudget()
		if c.dec.block.promisedID != 0 {
			return c.recvPushPromise(&c.dec.block)
		}
		return c.recvHeaders(&c.dec.block)
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
func (c *Conn) handleStreamError(err error) error {
	if err == nil {
		return nil
	}
	var se *frame.StreamError
	if errors.As(err, &se) {
		return c.streamError(se)
	}
	return err
}

// onClosed judges a frame on a stream that is not in the table, by how the stream was closed or as
// on an idle one. Nothing is charged for what may have crossed our RST_STREAM.
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

// closedState returns the state of a stream that is not in the table, and false where the peer's
// stream is forgotten or was skipped (RFC 9113 §5.1.1). A stream of ours that is forgotten counts
// as reset by us, because it may have been and the peer may not know yet; so does one that came
// after our GOAWAY and was never processed (RFC 9113 §6.8).
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
