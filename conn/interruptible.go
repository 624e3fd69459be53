package conn

import (
	"net"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// A connection is known when its socket, or the one below its TLS, is one of package net: then its
// deadlines work, a Read that waits can be interrupted by one, and a method of it may be called
// while mu is held. Of any other net.Conn nothing is asked but Read, Write and Close:
//
//   - Only the goroutine in Serve reads, and nobody interrupts it: requests never read for
//     themselves (see readLease).
//   - No read deadline is ever set. What bounds the time after the last frame, and after a write
//     that has failed, is the connection's own timer, which closes the socket. That holds for known
//     connections, too.
//   - A write deadline is set, since one that works tells of a write that has taken a part. Where
//     one is refused or does nothing, the connection's own timer closes the socket when a piece of
//     a write has not been taken for three times as long; pieces are so small that a peer which
//     takes 34 octets a second is never too slow.
//   - Flush leaves writing to another goroutine, since nothing says whether it would wait.
//   - No method is called while mu is held.

// isInterruptible reports whether nc is known.
func isInterruptible(nc net.Conn) bool {
	return netconn.Interruptible(socket.BelowTLS(nc))
}
