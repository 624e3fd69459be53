//go:build unix && !aix && !solaris

package server

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// canPeek is whether a TCP socket can be peeked into.
const canPeek = true

// peekable returns the socket of nc, nil where it has none.
func peekable(nc net.Conn) syscall.RawConn { return rawio.Socket(nc) }

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
		return seen, rawio.Error("read", nc, 0, rerr)
	case errno == syscall.EINVAL, errno == syscall.EOPNOTSUPP:
		return seen, errCannotPeek
	case err != nil: // the socket does not return it again
		return seen, rawio.Error("read", nc, errno, nil)
	case n <= seen:
		return seen, errCannotPeek
	}
	return n, nil
}

// drain reads what is in the socket of nc, if it has one, and does not wait for more: the kernel
// resets a connection that is closed with octets that were not read.
func drain(nc net.Conn) {
	raw := peekable(nc)
	if raw == nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool { // it may be closed already
		buf := make([]byte, 4<<10)
		for n := 0; n < maxDrained; {
			k, errno := rawio.Read(int(fd), buf)
			if errno != 0 || k <= 0 {
				break
			}
			n += k
		}
		return true
	})
}
