//go:build unix && !aix && !solaris

package server

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/socket"
)

// canPeek is whether a TCP socket can be peeked into.
const canPeek = true

// peekable returns what reaches the socket that nc is, nil where nc is none.
func peekable(nc net.Conn) syscall.RawConn {
	if s := socket.Of(nc); s != nil {
		return s.RawConn()
	}
	return nil
}

// peekMore waits until raw, the socket of nc, has more than seen octets, looks at those that buf
// has room for, and returns how many they are, or seen with an error. The error is errCannotPeek
// where nothing has come behind what was seen and a wait for it might not end, or where the socket
// does not know MSG_PEEK.
//
// The runtime's poller is edge-triggered: octets that stay in the socket do not wake it again, and
// peekMore is woken when more comes, or the end. But an end that has come together with the octets
// that were seen does not wake it: mayContinue excludes that.
func peekMore(nc net.Conn, raw syscall.RawConn, buf []byte, seen int) (int, error) {
	var n int
	var err error
	rerr := raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err == nil && n == seen && seen > 0 && mayContinue(int(fd)):
				return false
			}
			return true
		}
	})
	switch errno, _ := err.(syscall.Errno); { //nolint:errorlint // package syscall returns the number itself
	case rerr != nil:
		return seen, socket.Error("read", nc, 0, rerr)
	case errno == syscall.EINVAL, errno == syscall.EOPNOTSUPP:
		return seen, errCannotPeek
	case err != nil: // the socket does not return it again
		return seen, socket.Error("read", nc, errno, nil)
	case n <= seen:
		return seen, errCannotPeek
	}
	return n, nil
}

// drain reads what is in the socket of nc, if it has one, and does not wait for more: the kernel
// resets a connection that is closed with octets that were not read.
func drain(nc net.Conn) {
	if s := socket.Of(nc); s != nil {
		s.Drain(maxDrained)
	}
}
