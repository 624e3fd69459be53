//go:build unix

package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// opError returns the error of a raw read or write of nc as package net would: op is "read" or
// "write", errno the error of the system call. If that is 0, err is what RawConn.Read or Write has
// returned.
func opError(op string, nc net.Conn, errno syscall.Errno, err error) error {
	e := &net.OpError{Op: op, Net: networkOf(nc), Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
	var below *net.OpError
	switch {
	case errno != 0:
		e.Err = os.NewSyscallError(op, errno)
	case errors.As(err, &below):
		e.Err = below.Err // which names the operation raw-read or raw-write, and no peer
	}
	return e
}

// networkOf returns the network of nc as given to Dial or Listen, such as "tcp4".
func networkOf(nc net.Conn) string {
	if tc, ok := nc.(*net.TCPConn); ok {
		var e *net.OpError
		if _, err := tc.ReadFrom(noReader{}); errors.As(err, &e) {
			return e.Net
		}
	}
	if a := nc.LocalAddr(); a != nil {
		return a.Network()
	}
	return ""
}

var errNoReader = errors.New("socket: nothing to read")

// noReader has an operation of package net fail before it reaches the socket.
type noReader struct{}

// Read fails.
func (noReader) Read([]byte) (int, error) { return 0, errNoReader }

// errnoOf returns the number of an error of package syscall.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}
