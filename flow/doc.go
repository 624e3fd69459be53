// Package flow computes the flow-control windows of HTTP/2 (RFC 9113 §5.2, §6.9): how much DATA
// may be sent, and how much credit is given back to the peer. It contains the arithmetic of windows
// and nothing else. It knows no frames, streams or settings: the caller takes the numbers from
// frames and puts the increments that it is given into WINDOW_UPDATE frames.
//
// # Four windows
// Each endpoint has two windows for the DATA of a stream in one direction: that of the stream and
// that of the connection. All four are values of this package, and embedding them costs no
// allocation:
//
//   - [SendWindow] is the credit that the peer has given us. [SendWindow.Take] uses it,
//     [SendWindow.Add] is a WINDOW_UPDATE and [SendWindow.Shift] a change of
//     SETTINGS_INITIAL_WINDOW_SIZE.
//   - [RecvWindow] is the credit that we have given the peer. [RecvWindow.Receive] uses it,
//     [RecvWindow.Release] gives it back.
//
// # No credit is lost
//
// A receive window stores its size, the credit that the peer has left, and the octets that were
// received and not released. The credit that is free and not announced is the difference: it is
// computed from these, never counted. So credit cannot leak as long as every octet that was
// received is released once: when it was read, or at once when it will not be read. That holds for
// padding, for DATA of streams that were reset or are closed, for DATA after GOAWAY and for the
// octets that were buffered when a stream was reset. Releasing more than was received panics.
//
// # Batching
//
// Release returns 0 until half of the size, or 1 MiB, is free, so that a window is refilled with a
// few WINDOW_UPDATE frames and not with one for each read. A single reader cannot stall on that:
// when it has read everything and waits for more, either half of the size was free, and was
// announced, or the peer has more than half left.
//
// Several readers that share a window can stall: a reader that holds its octets without reading
// them keeps what the others free below one half of the size. The window of a connection is
// therefore released with [RecvWindow.ReleaseShared], which compares with the part of the size that
// is not held.
//
// # Windows that fit the path
//
// A sender that may have fewer octets in flight than the bandwidth-delay product of the path has to
// wait for credit. A [BDPEstimator] estimates how large the windows of a connection should be, and
// makes them so, within the bounds that the caller sets.
//
// # Concurrency
// A window has no lock. Its methods must be called by one goroutine at a time.
//
// # Limitations
//
//   - A receiver sees only how much arrives. It cannot distinguish a path that has become longer
//     from a queue that has: a window that has grown once grows again only when DATA arrives faster
//     since.
//   - A window that was made smaller shrinks as DATA arrives, because HTTP/2 has no way to take
//     credit back.
package flow
