//go:build !linux && !darwin

package conn

// capUnsent does nothing: this system has no such option.
func (c *Conn) capUnsent(int, uint8) {}
