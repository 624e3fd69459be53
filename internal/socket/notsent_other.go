//go:build !linux && !darwin

package socket

// LimitNotSent does nothing: this system has no such option.
func (s *Socket) LimitNotSent(int) {}
