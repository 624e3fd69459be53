package rawio

import (
	"net"
	"syscall"
)

// Socket returns what reaches the socket of nc below package net, nil where nc is not itself a TCP
// socket or a Unix socket that carries a stream. A type that embeds one, and so has its
// SyscallConn, is none: its Read and Write may do more than the socket's. Nor is a Unix socket that
// carries packets, whose ends a read must see.
func Socket(nc net.Conn) syscall.RawConn {
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
	return raw
}
