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
func (d Driver) Apply(now time.Time) error {
	d.tell(now)
	d.life.begun(d.now, &d.cfg)
	if !d.in.whole || d.fatal != nil {
		return nil // a piece of the preface
	}
	d.life.received(d.now)
	d.counts.FramesIn++
	if !d.in.ready {
		return nil // a header block that goes on
	}
	d.in.ready = false
	d.life.partialSince = time.Time{} // what had begun is complete
	d.timed = true
	var err error
	if r := d.in.refused; r.set {
		d.in.refused = refusal{}
		err = d.scope(d.applyRefused(d.in.got, d.in.payload, r.code))
	} else {
		err = d.scope(d.apply(d.in.got, d.in.payload))
	}
	d.timed = false
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
