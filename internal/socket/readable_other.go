//go:build !unix || aix || solaris

package socket

// CanPeek is false: what is in a socket is not known before it is read.
const CanPeek = false

// Readable returns false: it is not known.
func (s *Socket) Readable() bool { return false }
