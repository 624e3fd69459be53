//go:build unix && !aix && !solaris

package server

import (
	"net"
	"syscall"

	"github.com/sluice-go/sluice/internal/rawio"
)

// canPeek says that TCP sockets are left as they are.
const canPeek = true

func peekable(nc net.Conn) syscall.RawConn { return rawio.Socket(nc) }

// peekMore waits until a socket has more than seen octets, looks at those that buf has room for, and
// returns how many they are. errTake: nothing has come behind what was seen, and the peer may have
// said that nothing will. A socket with octets in it announces its end once, perhaps before this
// waits for that, so that only a read is sure to return.
func peekMore(raw syscall.RawConn, buf []byte, seen int) (n int, err error) {
	rerr := raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN || err == nil && n == seen && seen > 0 && mayContinue(int(fd)):
				return false
			}
			return true
		}
	})
	switch {
	case rerr != nil:
		return seen, rerr
	case err != nil || n <= seen:
		return seen, errTake
	}
	return n, nil
}
