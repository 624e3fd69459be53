package flow

import "fmt"

// A RecvWindow is the credit that we have given the peer for one stream, or for the connection
// (RFC 9113 §6.9). Every octet of its size is in one of three places: credit that the peer still
// has (Available), octets received and not released yet (Held), and credit released but not
// announced yet (Unsent). The zero value is a window of 0.
type RecvWindow struct {
	size  uint32 // octets: the peer's credit when nothing is held or unsent
	avail int32  // the peer's credit; negative after a smaller SETTINGS_INITIAL_WINDOW_SIZE
	held  uint32 // octets that were received and not released
}

// NewRecvWindow returns a window of size octets, 0 to MaxWindow, all of which the peer may send.
func NewRecvWindow(size uint32) RecvWindow {
	var w RecvWindow
	w.Init(size)
	return w
}

// Init makes w a new window of size octets, 0 to MaxWindow, all of which the peer may send.
func (w *RecvWindow) Init(size uint32) {
	if size > MaxWindow {
		panicSize(size)
	}
	*w = RecvWindow{size: size, avail: int32(size)}
}

// panicSize ends the program for a size that is no window's. It is not inlined, so that Init is.
//
//go:noinline
func panicSize(size uint32) {
	panic(fmt.Sprintf("BUG: flow: a receive window of %d octets", size))
}

// Size returns the size of the window in octets.
func (w *RecvWindow) Size() uint32 { return w.size }

// Available returns how much the peer may still send, in octets. It is negative after Shift took
// away more than was left.
func (w *RecvWindow) Available() int32 { return w.avail }

// Held returns how many octets were received and not released yet.
func (w *RecvWindow) Held() uint32 { return w.held }

// Unsent returns the credit that is free and not announced yet, in octets.
func (w *RecvWindow) Unsent() uint32 { return uint32(max(w.unsent(), 0)) }

// unsent is Unsent before it is clamped to 0: it is negative while the peer has more credit than
// the size of a window that was made smaller.
func (w *RecvWindow) unsent() int64 {
	return int64(w.size) - int64(w.avail) - int64(w.held)
}

// Receive records that a DATA frame used n octets, padding and Pad Length included
// (RFC 9113 §6.9.1). It returns false, and changes nothing, when the peer did not have that much:
// a FLOW_CONTROL_ERROR.
func (w *RecvWindow) Receive(n uint32) bool {
	if int64(n) > int64(w.avail) {
		// An empty DATA frame is free, also on a window below 0.
		return n == 0
	}
	w.avail -= int32(n)
	w.held += n
	return true
}

// maxBatch is the credit, in octets, that is announced whatever the size of the window. If a large
// window were announced by halves, a quarter of it on average would be free and not announced while
// the peer waits.
const maxBatch = 1 << 20

// Release gives back n octets that Receive recorded. It returns the increment of the WINDOW_UPDATE
// that the caller must send now, or 0 while less than half of the size, and less than 1 MiB, would
// be announced. It panics when less than n octets are held.
func (w *RecvWindow) Release(n uint32) (increment uint32) {
	w.release(n)
	return w.due()
}

func (w *RecvWindow) due() (increment uint32) {
	// As long as the credit does not bring a window that Shift has made negative back to 0, the
	// peer cannot use it.
	if free := w.unsent(); free < min((int64(w.size)+1)/2, maxBatch) || int64(w.avail)+free < 0 {
		return 0
	}
	return w.Flush()
}

// ReleaseShared is Release for a window that many readers share, the window of a connection. It
// returns 0 while less than half of what is not held, and less than 1 MiB, would be announced:
// octets that one reader holds do not keep the others from getting credit.
func (w *RecvWindow) ReleaseShared(n uint32) (increment uint32) {
	w.release(n)
	if w.unsent() < min((int64(w.size)-int64(w.held)+1)/2, maxBatch) {
		return 0
	}
	return w.Flush()
}

func (w *RecvWindow) release(n uint32) {
	if n > w.held {
		panic(fmt.Sprintf("BUG: flow: releasing %d octets of %d held", n, w.held))
	}
	w.held -= n
}

// Flush returns all credit that is free and not announced yet, however little, as the increment of
// a WINDOW_UPDATE that the caller must send now; 0 when there is none.
func (w *RecvWindow) Flush() (increment uint32) {
	free := w.unsent()
	if free <= 0 {
		return 0
	}
	w.avail += int32(free)
	return uint32(free)
}

// Resize changes the size to size octets, 0 to MaxWindow. A larger window returns the increment of
// the WINDOW_UPDATE that the caller must send now. A smaller one returns 0: the peer's credit
// cannot be taken back, so released octets are not announced until the window has shrunk. Neither
// depends on a setting, so Resize is also how the connection's window, which no setting changes,
// gets another size than 65,535.
func (w *RecvWindow) Resize(size uint32) (increment uint32) {
	if size > MaxWindow {
		panicSize(size)
	}
	grown := size > w.size
	w.size = size
	if grown {
		return w.Flush()
	}
	return 0
}

// Shift moves size and credit by delta: the peer has acknowledged our change of
// SETTINGS_INITIAL_WINDOW_SIZE, and both sides change the windows of all streams without a
// WINDOW_UPDATE (RFC 9113 §6.9.2). It returns false, and changes nothing, when the size or the
// peer's credit would leave the range of a window. Credit that was free and less than half of the
// old size can be more than half of the new one, and there may be no further Release: then Shift
// returns the increment that the caller must send now.
//
// Streams that were open before the acknowledgement must be shifted, also when the setting is
// smaller: otherwise the receiver counts credit that the peer does not have, and waits for DATA
// that cannot come.
func (w *RecvWindow) Shift(delta int32) (increment uint32, ok bool) {
	size := int64(w.size) + int64(delta)
	// After Resize to a smaller size the peer's credit and the held octets may be more than the
	// size.
	used := int64(w.avail) + int64(w.held) + int64(delta)
	if size < 0 || size > MaxWindow || used > MaxWindow {
		return 0, false
	}
	w.size = uint32(size)
	w.avail += delta
	return w.due(), true
}
