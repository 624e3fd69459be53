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

// SetPartial starts or ends the time that the peer has to complete what it has begun: a frame, or a
// header block whose CONTINUATION is missing. b is what Decode has left of the octets received.
// Where that is nothing, Apply has called it already, unless SuspendPartial was called since.
//
// A header block may take HeaderTimeout and another frame FrameTimeout, and either a second more
// for each KiB of the frame. SetPartial returns the length of that frame, with its header, and 0
// while it is not known. It belongs to the reader, as Decode does, and needs the lock, too.
func (d Driver) SetPartial(b []byte, now time.Time) (length int) {
	st, dec := &d.partial, &d.dec
	if len(b) == 0 && !dec.pending.open {
		st.since = time.Time{}
		return 0
	}
	if st.since.IsZero() {
		d.advance(now)
		st.since = d.now
	}
	st.kib, st.headers = 0, dec.pending.open
	if dec.prefaceLeft != "" {
		return 0
	}
	if len(b) > 3 {
		t := frame.Type(b[3])
		st.headers = st.headers || t == frame.TypeHeaders || t == frame.TypePushPromise
	}
	if len(b) >= frame.HeaderLen {
		length = frame.HeaderLen + int(frame.ParseHeader(b).Length)
		st.kib = uint32(length >> 10)
	}
	return length
}

// SuspendPartial ends that time while the caller does not read. SetPartial starts it again.
func (d Driver) SuspendPartial() { d.partial.since = time.Time{} }

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
