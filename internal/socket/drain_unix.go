//go:build unix

package socket

// Drain discards what is in the socket: up to most octets, or a little more. It does not wait.
func (s *Socket) Drain(most int) {
	_ = s.raw.Read(func(fd uintptr) bool { // it may be closed already
		buf := make([]byte, 4<<10)
		for n := 0; n < most; {
			k, errno := readFD(int(fd), buf)
			if errno != 0 || k <= 0 {
				break
			}
			n += k
		}
		return true
	})
}
