//go:build unix && !aix && !solaris

package socket

import "syscall"

// Peek waits, as Read of the net.Conn does, until the socket has more than seen octets, which an
// earlier Peek has returned, or none at all. It copies what the socket has into buf, leaves it in
// the socket, and returns how many octets these are, or seen and an error. limit is how many the
// caller peeks at in all.
//
// The error is ErrCannotPeek where nothing has come behind the octets that were seen and a wait for
// more might not end, or where the socket does not know MSG_PEEK.
//
// The runtime's poller is edge-triggered: octets that stay in the socket do not wake Peek again;
// further octets do, and so does the end. But an end that came together with the octets that were
// seen does not wake it: mayWaitUnread excludes that.
func (s *Socket) Peek(buf []byte, seen, limit int) (int, error) {
	var n int
	var err error
	rawErr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, _, err = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err == nil && n == seen && seen > 0 && mayWaitUnread(int(fd), limit):
				return false
			}
			return true
		}
	})
	switch errno := errnoOf(err); {
	case rawErr != nil:
		return seen, opError("read", s.nc, 0, rawErr)
	case errno == syscall.EINVAL, errno == syscall.EOPNOTSUPP:
		return seen, ErrCannotPeek
	case err != nil: // the socket does not return it again
		return seen, opError("read", s.nc, errno, nil)
	case n <= seen:
		return seen, ErrCannotPeek
	}
	return n, nil
}
