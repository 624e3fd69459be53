package tunnel

import (
	"net"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// idleCheck is what checkIdle keeps from one time to the next. Only its timer uses it.
type idleCheck struct {
	unsent [2]int // in the sockets
	cut    bool   // the Writes that wait were cut short
}

// checkIdle ends the tunnel if nothing was carried for the limit. Octets that a socket or a stream
// holds since its peer is slow may still be on their way: the tunnel has another term, for as long
// as they become fewer.
func (r *relay) checkIdle() {
	left := r.idle - (time.Since(r.start) - time.Duration(r.active.Load()))
	if left <= 0 {
		if !r.progresses() {
			r.cut(EndIdle, nil)
			return
		}
		left = r.idle
	} else {
		r.check = idleCheck{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.idleTimer.Reset(left)
	}
}

// progresses reports whether there are octets that may be on their way to a slow peer, and have
// been seen to move if it was asked before.
func (r *relay) progresses() bool {
	moving := false
	for side, c := range r.sides {
		if s := socketOf(c); s != nil {
			n, _ := s.Unsent() // 0 where it is not known
			moving = moving || n > 0 && n != r.check.unsent[side]
			r.check.unsent[side] = n
			continue
		}
		// A Write of a Tunnel tells how far it has come when it ends.
		if t, ok := below(c).(*conn.Tunnel); ok && r.writing[1-side].Load() && !r.check.cut {
			r.check.cut, moving = true, true
			_ = t.SetWriteDeadline(time.Now()) // fails on a closed tunnel only
		}
	}
	return moving
}

// resume reports whether a Write to dst, which has met a deadline, may go on.
func (r *relay) resume(dst net.Conn) bool {
	t, ok := dst.(*conn.Tunnel)
	return ok && t.SetWriteDeadline(noDeadline) == nil
}
