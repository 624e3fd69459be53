//go:build !unix || aix || solaris

package server

import (
	"net"
	"syscall"
)

// canPeek is whether a TCP socket can be peeked into.
const canPeek = false

// peekable returns nil: no socket can be peeked into as peekMore needs it.
func peekable(net.Conn) syscall.RawConn { return nil }

// peekMore is not called, since there is no raw connection.
func peekMore(net.Conn, syscall.RawConn, []byte, int) (int, error) { return 0, errCannotPeek }

// drain does nothing.
func drain(net.Conn) {}
