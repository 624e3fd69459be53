package core

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// SetPartial tells whether the octets received so far end within a frame or a header block, as
// Partial says, and with a frame how long it is. A header block may take HeaderTimeout and another
// frame FrameTimeout, and either a second more for each KiB of the frame. It belongs to the reader,
// as Partial does, and needs the lock, too.
func (c *Conn) SetPartial(partial bool, want int, now time.Time) {
	l := &c.life
	switch {
	case !partial:
		l.partialSince = time.Time{}
		return
	case l.partialSince.IsZero():
		c.tell(now)
		l.partialSince = c.now
	}
	l.partialKiB = uint32(want >> 10)
	l.partialHead = c.in.partialHead // the reader's, which has no lock in Partial
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

// Partial tells whether more octets are needed to complete what has begun: a header block, or the
// frame that b, the octets left over by Decode, begins; want is the length of the latter.
func (c *Conn) Partial(b []byte) (partial bool, want int) {
	if len(b) >= frame.HeaderLen && c.in.prefaceLeft == "" {
		want = frame.HeaderLen + int(frame.ParseHeader(b).Length)
	}
	c.in.partialHead = c.in.pending.open
	if len(b) > 3 && c.in.prefaceLeft == "" {
		t := frame.Type(b[3])
		c.in.partialHead = c.in.partialHead || t == frame.TypeHeaders || t == frame.TypePushPromise
	}
	return len(b) > 0 || c.in.pending.open, want
}
