package socket

import (
	"crypto/tls"
	"net"
	"syscall"
)

// A Socket is a stream socket of package net, TCP or Unix, and the way to its descriptor.
type Socket struct {
	nc  net.Conn
	raw syscall.RawConn
}

// Of returns the socket that nc is, nil where nc is not itself a TCP socket or a Unix socket that
// carries a stream. A type that embeds one, and so has its SyscallConn, is none: its Read and Write
// may do more than the socket's. Nor is a Unix socket that carries packets, whose ends a read must
// see. For the socket that TLS lies on, see BelowTLS.
func Of(nc net.Conn) *Socket {
	switch nc := nc.(type) {
	case *net.TCPConn:
	case *net.UnixConn:
		if a := nc.LocalAddr(); a == nil || a.Network() != "unix" {
			return nil
		}
	default:
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	return &Socket{nc, raw}
}

// OfThisModule marks what this module puts between TLS and a socket. Such a connection has the
// method
//
//	Below(socket.OfThisModule) net.Conn
//
// which returns what it lies on. Nothing outside of this module can name OfThisModule, so no other
// connection has such a method.
type OfThisModule struct{}

// BelowTLS returns what the TLS of nc lies on, and nc itself where nc is no TLS connection.
func BelowTLS(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if l, ok := nc.(interface{ Below(OfThisModule) net.Conn }); ok {
		nc = l.Below(OfThisModule{})
	}
	return nc
}

// TCP reports whether it is a socket of TCP.
func (s *Socket) TCP() bool {
	_, ok := s.nc.(*net.TCPConn)
	return ok
}

// Control calls f with the descriptor, which stays open for that time.
func (s *Socket) Control(f func(fd uintptr)) error { return s.raw.Control(f) }

// Closed reports whether the socket was closed on our side.
func (s *Socket) Closed() bool { return s.raw.Control(func(uintptr) {}) != nil }
