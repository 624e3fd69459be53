//go:build !unix || aix || solaris

package socket

// CanPeek is false: what is in a socket is not known before it is read.
const CanPeek = false

// Readable returns false: it is not known.
func (s *Socket) Readable() bool { return false }

// Peek is of no use on this system: it returns ErrCannotPeek.
func (s *Socket) Peek(_ []byte, seen, _ int) (int, error) { return seen, ErrCannotPeek }
