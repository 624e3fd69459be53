//go:build !linux

package socket

// Unsent is not known on this system.
func (s *Socket) Unsent() (n int, ok bool) { return 0, false }
