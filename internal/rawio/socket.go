package rawio

import (
	"net"
	"syscall"
)

// Socket returns what reaches the socket of nc below package net, nil where nc is not a TCP or Unix socket itself.
func Socket(nc net.Conn) syscall.RawConn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
