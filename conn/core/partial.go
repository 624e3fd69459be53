package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// partialState is what SetPartial was told of a frame or header block that is not complete.
type partialState struct {
	since   time.Time // when it began, zero where there is none
	kib     uint32    // length of the frame in KiB, as far as it is known
	headers bool      // it is a header block, or a frame of one
}

// Partial is a frame or header block of which the rest has not arrived. The zero Partial is none.
type Partial struct {
	Begun  bool // a frame or header block has begun, and its end is missing
	Length int  // octets of the frame that has begun, with its header; 0 while that is not known
}

// Partial returns what has begun and is not complete, where b is what Decode has left of the octets
// received: a frame, or a header block whose CONTINUATION is missing. It belongs to the reader, as
// Decode does.
func (d Driver) Partial(b []byte) Partial {
	dec := &d.dec
	p := Partial{Begun: len(b) > 0 || dec.pending.open}
	dec.partialHeaders = dec.pending.open
	if dec.prefaceLeft != "" {
		return p
	}
	if len(b) >= frame.HeaderLen {
		p.Length = frame.HeaderLen + int(frame.ParseHeader(b).Length)
	}
	if len(b) > 3 {
		t := frame.Type(b[3])
		dec.partialHeaders = dec.partialHeaders || t == frame.TypeHeaders || t == frame.TypePushPromise
	}
	return p
}

// SetPartial starts or ends the time that the peer has to complete what it has begun: p is what
// Partial has returned. A header block may take HeaderTimeout and another frame FrameTimeout, and
// either a second more for each KiB of the frame. SetPartial belongs to the reader, as Partial
// does, and needs the lock, too.
func (d Driver) SetPartial(p Partial, now time.Time) {
	st := &d.partial
	switch {
	case !p.Begun:
		st.since = time.Time{}
		return
	case st.since.IsZero():
		d.advance(now)
		st.since = d.now
	}
	st.kib = uint32(p.Length >> 10)
	st.headers = d.dec.partialHeaders // which Partial has found without the lock
}

// partialTimeout is how long a partial frame or header block may take, but for its length.
func (c *Conn) partialTimeout() time.Duration {
	if c.partial.headers {
		return c.cfg.HeaderTimeout
	}
	return c.cfg.FrameTimeout
}

// partialDeadline returns when the partial frame or header block is to be complete, the zero time
// where there is no limit.
func (c *Conn) partialDeadline() time.Time {
	limit := c.partialTimeout()
	if limit <= 0 {
		return time.Time{}
	}
	return c.partial.since.Add(limit + time.Duration(c.partial.kib)*time.Second)
}
