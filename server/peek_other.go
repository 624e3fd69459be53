//go:build !unix || aix || solaris

package server

import (
	"net"
	"syscall"
)

// canPeek says that TCP sockets are left as they are.
const canPeek = false

func peekable(net.Conn) syscall.RawConn { return nil }

// peekMore is not called: a socket cannot be peeked into as we need it here.
func peekMore(net.Conn, syscall.RawConn, []byte, int) (int, error) { return 0, errTake }

// drain leaves what is in a socket there.
func drain(net.Conn) {}
