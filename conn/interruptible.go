package conn

import (
	"net"

	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// A connection is interruptible when its socket, or the one below its TLS, is one of package net:
// then its deadlines work, a Read that waits is ended by one, and SetReadDeadline may be called
// with Conn.mu held. Of any other net.Conn only Read, Write and Close are expected to work:
//
//   - Only the goroutine in Serve reads, and it is not interrupted: requests never read for
//     themselves (readlease.go), and the connection is not parked (park.go).
//   - No read deadline is ever set. The time after the last frame, and after a write that has
//     failed, is bounded by the connection's timer, which closes the socket. That holds for
//     interruptible connections, too.
//   - A write deadline is set, since one that works shows a write that has taken a part. Where one
//     is refused or does nothing, the connection's timer closes the socket when a piece of a write
//     has not been taken for three times as long; pieces are so small that a peer which takes 34
//     octets a second is never too slow.
//   - Flush leaves writing to another goroutine, since it is not known whether a write would wait.
//   - No method is called with Conn.mu held.

// isInterruptible reports whether nc is interruptible.
func isInterruptible(nc net.Conn) bool {
	return netconn.Interruptible(socket.BelowTLS(nc))
}
