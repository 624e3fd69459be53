//go:build unix

package main

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// reservePort returns a free port of all addresses, on which a program that names it may listen. A
// socket that is bound and does not listen keeps it, until the test ends, from all that ask for any
// port, as other tests do. With SO_REUSEADDR on both, which Go sets on listeners, Linux lets others
// listen beside it. Other systems may not, so that there the port is free for anyone.
func reservePort(t *testing.T) string {
	t.Helper()
	fd, port, err := bindAny(syscall.AF_INET6, &syscall.SockaddrInet6{})
	if err != nil { // a machine without IPv6
		fd, port, err = bindAny(syscall.AF_INET, &syscall.SockaddrInet4{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		t.Cleanup(func() { syscall.Close(fd) })
	} else {
		syscall.Close(fd)
	}
	return strconv.Itoa(port)
}

// bindAny binds a socket to an address without a port, and returns the port that it got.
func bindAny(family int, addr syscall.Sockaddr) (fd, port int, err error) {
	syscall.ForkLock.RLock()
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			syscall.Close(fd)
		}
	}()
	if family == syscall.AF_INET6 {
		if err = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0); err != nil {
			return 0, 0, os.NewSyscallError("setsockopt", err)
		}
	}
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, 0, os.NewSyscallError("setsockopt", err)
	}
	if err = syscall.Bind(fd, addr); err != nil {
		return 0, 0, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	switch a := bound.(type) {
	case *syscall.SockaddrInet6:
		return fd, a.Port, nil
	case *syscall.SockaddrInet4:
		return fd, a.Port, nil
	}
	return 0, 0, os.NewSyscallError("getsockname", err)
}

// A port that is reserved is not given to a listener on any port, and one that names it gets it.
func TestReservePort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux keeps the port of a socket that does not listen, and lets another listen on it")
	}
	for _, host := range []string{"127.0.0.1", "", "localhost"} {
		port := reservePort(t)
		for range 3 { // a server stops, and another takes its port
			l, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
		}
	}
}
