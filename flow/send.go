package flow

import "fmt"

// MaxWindow is the largest flow-control window, in octets (RFC 9113 §6.9.1).
const MaxWindow = 1<<31 - 1

// A SendWindow is the credit that the peer has given us: how many octets of DATA payload we may
// still send on one stream, or on the connection (RFC 9113 §6.9). The zero value is a window of 0.
type SendWindow struct {
	n int32
}

// Available returns the credit left, in octets. It is negative after the peer has lowered
// SETTINGS_INITIAL_WINDOW_SIZE below what was already sent (RFC 9113 §6.9.2); nothing may be sent
// until it is above 0 again.
func (w *SendWindow) Available() int32 { return w.n }

// Take uses n octets of credit. It panics when there is less.
func (w *SendWindow) Take(n int) {
	if n < 0 || int64(n) > int64(max(w.n, 0)) {
		panic(fmt.Sprintf("BUG: flow: taking %d octets of a send window of %d", n, w.n))
	}
	w.n -= int32(n)
}

// Add gives inc octets of credit, as a WINDOW_UPDATE frame does. It returns false, and changes
// nothing, when the window would exceed MaxWindow: that is a FLOW_CONTROL_ERROR of the peer
// (RFC 9113 §6.9.1).
func (w *SendWindow) Add(inc uint32) bool {
	sum := int64(w.n) + int64(inc)
	if sum > MaxWindow {
		return false
	}
	w.n = int32(sum)
	return true
}

// Shift moves the window by delta, the difference between the new and the old
// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.9.2). It returns false, and changes nothing, when the
// window would exceed MaxWindow: that is a FLOW_CONTROL_ERROR of the connection.
func (w *SendWindow) Shift(delta int32) bool {
	sum := int64(w.n) + int64(delta)
	if sum > MaxWindow {
		return false
	}
	if sum < -MaxWindow {
		panic(fmt.Sprintf("BUG: flow: shifting a send window of %d by %d", w.n, delta))
	}
	w.n = int32(sum)
	return true
}
