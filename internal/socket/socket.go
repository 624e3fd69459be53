package socket

import (
	"crypto/tls"
	"net"
	"syscall"
)

// A Socket gives access to the descriptor of a stream socket of package net, TCP or Unix.
type Socket struct {
	nc  net.Conn
	raw syscall.RawConn
}

// Of returns the Socket of nc, which must be a *net.TCPConn or a *net.UnixConn of a stream; for any
// other nc it returns nil. A type that embeds one of these has its SyscallConn, but may do more in
// Read and Write than the socket does. A Unix socket of packets needs reads that keep to their
// boundaries. For the socket below TLS, see BelowTLS.
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

// OfThisModule marks the connections that this module puts between TLS and a socket. They have the
// method
//
//	Below(socket.OfThisModule) net.Conn
//
// which returns the connection below. No code outside of this module can name OfThisModule, so no
// other connection has such a method.
type OfThisModule struct{}

// BelowTLS returns the connection below the TLS of nc, and nc itself if nc is no TLS connection.
func BelowTLS(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if l, ok := nc.(interface{ Below(OfThisModule) net.Conn }); ok {
		nc = l.Below(OfThisModule{})
	}
	return nc
}

// TCP reports whether s is a TCP socket.
func (s *Socket) TCP() bool {
	_, ok := s.nc.(*net.TCPConn)
	return ok
}

// Control calls f with the descriptor, which stays open until f returns.
func (s *Socket) Control(f func(fd uintptr)) error { return s.raw.Control(f) }

// Closed reports whether this side has closed the socket.
func (s *Socket) Closed() bool { return s.raw.Control(func(uintptr) {}) != nil }
