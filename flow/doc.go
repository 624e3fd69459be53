// Package flow keeps the flow-control windows of HTTP/2 (RFC 9113 §5.2, §6.9): how much DATA may be sent, and how much
// credit the peer gets back.
//
// It owns the arithmetic of windows and nothing else. It does not know frames, streams or settings: the caller takes the
// numbers out of frames and puts the increments that it is given into WINDOW_UPDATE frames.
//
// # Two windows, four of a kind
//
// DATA passes two windows on either side, that of its stream and that of the connection. All four are values of this
// package, and embedding them costs no allocation:
//
//   - [SendWindow] is what the peer allows us. [SendWindow.Take] uses it up, [SendWindow.Add] is a WINDOW_UPDATE and
//     [SendWindow.Shift] a change of SETTINGS_INITIAL_WINDOW_SIZE.
//   - [RecvWindow] is what we allow the peer. [RecvWindow.Receive] uses it up, [RecvWindow.Release] gives it back.
//
// # No credit is lost
//
// A receive window knows its size, what the peer has left and what was received and not released. What is free and not
// announced is the difference, and is computed, never counted. So credit cannot leak as long as every octet that was
// received is released, once: when it was read, or at once when nobody will read it. That holds for padding, for DATA of
// streams that were reset or are closed, for DATA after GOAWAY and for what was buffered when a stream died. Releasing
// more than was received panics.
//
// # Batching
//
// Release returns 0 until half of the size, or 1 MiB, is free, so that a window is refilled with a few WINDOW_UPDATE frames
// and not with one for each read. One reader cannot stall on that: when it has read everything and waits for more, either half of
// the size is free, and was announced, or the peer has more than half left.
//
// Many readers that share a window can: one that holds its octets without reading keeps what others free below one half
// for ever. The window of a connection is therefore released with [RecvWindow.ReleaseShared], which measures by what is
// not held.
//
// # Windows that fit the path
//
// A sender that may have less on its way than the path holds, bandwidth times round-trip time, waits. A [Tuner] finds out
// how large the windows of a connection should be, and makes them so, within the room that the caller gives it.
//
// # Concurrency
//
// A window has no lock. Whoever owns the connection's state may call it, one goroutine at a time.
//
// # Limitations
//
//   - A receiver sees only how much comes. It cannot tell a path that has become longer from a queue that has: a window
//     that has once grown grows again only when that makes DATA come faster.
//   - A window that was made smaller shrinks as DATA arrives, because HTTP/2 has no way to call credit back.
package flow
