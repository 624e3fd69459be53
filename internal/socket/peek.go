package socket

import "errors"

// ErrCannotPeek is returned by Peek where the octets must be read to see what follows.
var ErrCannotPeek = errors.New("socket: the octets must be read")
