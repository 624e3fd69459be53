package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Partial is a frame or header block of which the rest has not arrived. The zero Partial is none.
type Partial struct {
	Begun  bool // a frame or header block has begun, and its end is missing
	Length int  // octets of the frame that has begun, with its header; 0 while that is not known
}

// Partial returns what has begun and is not complete, where b is what Decode has left of the octets
// received: a frame, or a header block whose CONTINUATION is missing. It belongs to the reader, as
// Decode does.
func (d Driver) Partial(b []byte) Partial {
	p := Partial{Begun: len(b) > 0 || d.in.pending.open}
	d.in.partialHead = d.in.pending.open
	if d.in.prefaceLeft != "" {
		return p
	}
	if len(b) >= frame.HeaderLen {
		p.Length = frame.HeaderLen + int(frame.ParseHeader(b).Length)
	}
	if len(b) > 3 {
		t := frame.Type(b[3])
		d.in.partialHead = d.in.partialHead || t == frame.TypeHeaders || t == frame.TypePushPromise
	}
	return p
}

// SetPartial starts or ends the time that the peer has to complete what it has begun: p is what
// Partial has returned. A header block may take HeaderTimeout and another frame FrameTimeout, and
// either a second more for each KiB of the frame. SetPartial belongs to the reader, as Partial
// does, and needs the lock, too.
func (d Driver) SetPartial(p Partial, now time.Time) {
	l := &d.life
	switch {
	case !p.Begun:
		l.partialSince = time.Time{}
		return
	case l.partialSince.IsZero():
		d.tell(now)
		l.partialSince = d.now
	}
	l.partialKiB = uint32(p.Length >> 10)
	l.partialHead = d.in.partialHead // of the reader, so that Partial needs no lock
}

// partialTimeout is how long what has begun may take, but for its length.
func (c *Conn) partialTimeout() time.Duration {
	if c.life.partialHead {
		return c.cfg.HeaderTimeout
	}
	return c.cfg.FrameTimeout
}

// partialBy returns when what has begun is due.
func (c *Conn) partialBy() time.Time {
	limit := c.partialTimeout()
	if c.life.partialSince.IsZero() || limit <= 0 {
		return time.Time{}
	}
	return c.life.partialSince.Add(limit + time.Duration(c.life.partialKiB)*time.Second)
}
